struct key {
	unsigned int pid, zero;
};
struct state {
	unsigned long long count, seen;
	__int128 sum;
	unsigned long long min, max;
};
#include "groups.h"

SEC("tracepoint/syscalls/sys_enter_read")
int program(u64 *ctx)
{
	struct key key = {.pid = bpf_get_current_pid_tgid() >> 32};
	struct state *state = group(&key);
	u64 x, seen;

	if (!state)
		return 0;
	x = ctx[4];
	state->sum += x;
	seen = state->seen;
	if (!seen || x < state->min)
		state->min = x;
	if (!seen || x > state->max)
		state->max = x;
	state->seen = seen + 1;
	state->count++;
	return 0;
}
