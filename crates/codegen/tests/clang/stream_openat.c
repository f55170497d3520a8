/* SELECT pid, comm, filename FROM syscalls.sys_enter_openat */
#include "common.h"
struct { __uint(type, 27); __uint(max_entries, 1 << 24); } rows SEC(".maps");
struct row { u32 pid; u32 pad; char comm[16]; char filename[256]; };
u64 lost;

SEC("tp/syscalls/sys_enter_openat")
int q(u64 *ctx)
{
	struct row *row = bpf_ringbuf_reserve(&rows, sizeof(*row), 0);

	if (!row) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	row->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	bpf_probe_read_user_str(row->filename, sizeof(row->filename), (void *)ctx[3]);
	bpf_ringbuf_submit(row, 1);
	return 0;
}
