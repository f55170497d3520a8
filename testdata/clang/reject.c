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
	struct key key = {};
	struct state *state;

	if (bpf_get_current_pid_tgid() >> 32 != 4194305)
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = group(&key);
	if (state)
		state->count++;
	return 0;
}
