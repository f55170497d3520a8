#include "bench.h"

struct group_key {
	char comm[TASK_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp/raw_syscalls/sys_enter")
int count(struct trace_event_raw_sys_enter *ctx)
{
	static const u64 zero;
	struct group_key key = {};
	u64 *count;

	bpf_get_current_comm(key.comm, sizeof(key.comm));
	count = lookup_or_try_init(&counts, &key, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
