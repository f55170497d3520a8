#include "bench.h"

/* The average is the sum by the count. */
struct sums {
	u64 count;
	u64 sum;
	u64 min;
	u64 max;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, u32);
	__type(value, struct sums);
} states SEC(".maps");

static const struct sums empty = { .min = ~0ULL };

SEC("tp/syscalls/sys_enter_read")
int aggregate(struct trace_event_raw_sys_enter *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 count = ctx->args[2];
	struct sums *state = lookup_or_try_init(&states, &pid, &empty);

	if (!state)
		return 0;
	__sync_fetch_and_add(&state->count, 1);
	__sync_fetch_and_add(&state->sum, count);
	if (count < state->min)
		state->min = count;
	if (count > state->max)
		state->max = count;
	return 0;
}
