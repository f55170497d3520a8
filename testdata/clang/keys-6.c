struct key {
	char comm[16];
	long long id;
	unsigned int pid, tid, uid, cpu;
};
struct state {
	unsigned long long count;
};
#include "groups.h"

SEC("tracepoint/raw_syscalls/sys_enter")
int program(u64 *ctx)
{
	u64 both = bpf_get_current_pid_tgid();
	struct key key = {};
	struct state *state;

	key.pid = both >> 32;
	key.tid = both;
	key.uid = bpf_get_current_uid_gid();
	key.cpu = bpf_get_smp_processor_id();
	key.id = ctx[1];
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = group(&key);
	if (state)
		state->count++;
	return 0;
}
