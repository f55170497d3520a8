#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp/raw_syscalls/sys_enter")
int count(struct trace_event_raw_sys_enter *ctx)
{
	static const u64 zero;
	char comm[TASK_COMM_LEN];
	u64 *count;
	u32 pid;

	bpf_get_current_comm(comm, sizeof(comm));
	if (comm[0] != 'b' || comm[1] != 'e' || comm[2] != 'a')
		return 0;
	pid = bpf_get_current_pid_tgid() >> 32;
	count = lookup_or_try_init(&counts, &pid, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
