#include "bench.h"

struct group_key {
	char comm[TASK_COMM_LEN] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp_btf/sys_enter")
int count(u64 *ctx)
{
	static const u64 zero;
	struct group_key key;
	u64 *count;

	/* No process has this number. */
	if (bpf_get_current_task_btf()->tgid != 4194305)
		return 0;

	copy_comm(key.comm, bpf_get_current_task_btf());
	count = lookup_or_try_init(&counts, &key, &zero);
	if (count)
		++*count;
	return 0;
}
