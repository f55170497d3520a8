#include "common.h"

struct row {
	u64 ts;
	char comm[16], filename[256], text[128];
	u32 pid, tid, uid, gid, cpu, dfd, flags, mode;
	u8 nulls;
};
#include "rows.h"

u64 read_faults, text_cut;

/* The text at FROM; whether it is NULL. */
static __always_inline bool text(char *to, long size, u64 from)
{
	long length = bpf_probe_read_user_str(to, size, (const void *)from);

	if (unlikely(length < 0)) {
		count(&read_faults);
		return 1;
	}
	if (unlikely(length == size))
		count(&text_cut);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int program(u64 *ctx)
{
	u64 id, ts = bpf_ktime_get_ns();
	struct row *row = reserve();
	u8 nulls = 0;

	if (!row)
		return 0;
	row->ts = ts;
	id = bpf_get_current_pid_tgid();
	row->pid = id >> 32;
	row->tid = id;
	id = bpf_get_current_uid_gid();
	row->uid = id;
	row->gid = id >> 32;
	row->cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	row->dfd = ctx[2];
	if (text(row->filename, sizeof(row->filename), ctx[3]))
		nulls |= 1;
	row->flags = ctx[4];
	if (text(row->text, sizeof(row->text), ctx[3]))
		nulls |= 2;
	row->mode = ctx[5];
	row->nulls = nulls;
	bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
	return 0;
}
