#include "bucket.h"

struct key {
	char comm[16], file[256];
	u8 nulls;
};
struct state {
	u64 count, hist[BUCKETS], seen;
	s128 sum __attribute__((aligned(8)));
	s32 min, max;
};
#include "groups.h"

u64 read_faults, text_cut;

SEC("tracepoint/syscalls/sys_enter_openat")
int program(u64 *ctx)
{
	struct key key;
	struct state *state;
	long length;
	u64 at, seen;
	s32 x;

	__builtin_memset(&key, 0, sizeof(key));
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	length = bpf_probe_read_user_str(key.file, sizeof(key.file), (const void *)ctx[3]);
	if (unlikely(length < 0)) {
		count(&read_faults);
		key.nulls = 1;
	} else if (unlikely(length == sizeof(key.file))) {
		count(&text_cut);
	}
	state = group(&key);
	if (!state)
		return 0;
	x = ctx[4];
	at = bucket(x);
	if (at >= BUCKETS)
		return 0;
	state->hist[at]++;
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
