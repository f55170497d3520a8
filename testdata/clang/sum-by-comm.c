struct key {
	char comm[16];
};
struct state {
	unsigned long long count;
	__int128 sum;
};
#include "groups.h"

struct args {
	u64 common, nr, fd, buf, count;
};

SEC("tracepoint/syscalls/sys_enter_read")
int program(struct args *ctx)
{
	struct key key = {};
	struct state *state;

	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = group(&key);
	if (state) {
		state->count++;
		state->sum += ctx->count;
	}
	return 0;
}
