/* SELECT 12 columns, three of them text */
#include "common.h"
struct { __uint(type, 27); __uint(max_entries, 1 << 24); } rows SEC(".maps");
struct row { u64 ts, elapsed, cgroup, a0, a1, a2; u32 pid, tid, uid, gid; char comm[16], x[64], y[64]; };
const volatile u64 start;
u64 lost;

SEC("tp/syscalls/sys_enter_renameat")
int q(u64 *ctx)
{
	struct row *row = bpf_ringbuf_reserve(&rows, sizeof(*row), 0);
	u64 id, ts;

	if (unlikely(!row)) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	ts = bpf_ktime_get_ns();
	row->ts = ts;
	row->elapsed = ts - start;
	row->cgroup = bpf_get_current_cgroup_id();
	row->a0 = ctx[2];
	row->a1 = ctx[4];
	row->a2 = ctx[6];
	id = bpf_get_current_pid_tgid();
	row->pid = id >> 32;
	row->tid = id;
	id = bpf_get_current_uid_gid();
	row->uid = id;
	row->gid = id >> 32;
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	bpf_probe_read_user_str(row->x, sizeof(row->x), (void *)ctx[3]);
	bpf_probe_read_user_str(row->y, sizeof(row->y), (void *)ctx[5]);
	bpf_ringbuf_submit(row, 1);
	return 0;
}
