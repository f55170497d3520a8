#include "bench.h"

struct group_key {
	char comm[TASK_COMM_LEN] __attribute__((aligned(8)));
};

struct sums {
	u64 count;
	u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, struct sums);
} states SEC(".maps");

static const struct sums zero;

SEC("tp/syscalls/sys_enter_read")
int aggregate(struct trace_event_raw_sys_enter *ctx)
{
	struct group_key key;
	struct sums *state;

	copy_comm(key.comm, bpf_get_current_task_btf());
	state = lookup_or_try_init(&states, &key, &zero);
	if (!state)
		return 0;
	state->count++;
	state->sum += ctx->args[2];
	return 0;
}
