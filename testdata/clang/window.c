struct key {
	unsigned long long bucket;
};
struct state {
	unsigned long long count;
};
#include "groups.h"

const volatile u64 wall_offset;

SEC("kprobe/do_nanosleep")
int program(struct pt_regs *ctx)
{
	u64 ts = bpf_ktime_get_ns();
	struct key key = {.bucket = ts - (ts + wall_offset) % 10000000000};
	struct state *state = group(&key);

	if (state)
		state->count++;
	return 0;
}
