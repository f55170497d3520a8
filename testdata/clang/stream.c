#include "common.h"

struct row {
	char comm[16], filename[256];
	u32 pid;
	u8 nulls;
};
#include "rows.h"

u64 read_faults, text_cut;

SEC("tracepoint/syscalls/sys_enter_openat")
int program(u64 *ctx)
{
	struct row *row = reserve();
	u8 nulls = 0;
	long length;

	if (!row)
		return 0;
	row->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	length = bpf_probe_read_user_str(row->filename, sizeof(row->filename), (const void *)ctx[3]);
	if (unlikely(length < 0)) {
		count(&read_faults);
		nulls = 1;
	} else if (unlikely(length == sizeof(row->filename))) {
		count(&text_cut);
	}
	row->nulls = nulls;
	bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
	return 0;
}
