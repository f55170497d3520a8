struct key {
	unsigned pid;
};
struct state {
	unsigned long long count;
};
#include "groups.h"

SEC("tracepoint/raw_syscalls/sys_enter")
int program(u64 *ctx)
{
	char comm[16] __attribute__((aligned(8)));
	struct state *state;
	struct key key;

	bpf_get_current_comm(comm, sizeof(comm));
	if (__builtin_memcmp(comm, "bea", 3))
		return 0;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	state = group(&key);
	if (state)
		state->count++;
	return 0;
}
