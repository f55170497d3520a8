struct key {
	char comm[16];
};
struct state {
	unsigned long long count;
};
#include "groups.h"

SEC("tracepoint/raw_syscalls/sys_enter")
int program(u64 *ctx)
{
	/* Linux 6.1 to 6.3 leave what is behind the name as it was. */
	struct key key = {};
	struct state *state;

	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = group(&key);
	if (state)
		state->count++;
	return 0;
}
