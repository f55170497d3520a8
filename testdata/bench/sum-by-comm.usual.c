#include "bench.h"

struct group_key {
	char comm[TASK_COMM_LEN];
};

struct sums {
	u64 count;
	u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, struct sums);
} states SEC(".maps");

static const struct sums zero;

SEC("tp/syscalls/sys_enter_read")
int aggregate(struct trace_event_raw_sys_enter *ctx)
{
	struct group_key key = {};
	struct sums *state;

	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = lookup_or_try_init(&states, &key, &zero);
	if (!state)
		return 0;
	__sync_fetch_and_add(&state->count, 1);
	__sync_fetch_and_add(&state->sum, ctx->args[2]);
	return 0;
}
