struct key {
	char comm[16];
	unsigned long long cgroup_id;
	char prev_comm[16];
	long long prev_state;
	char next_comm[16], probe[128];
	unsigned int pid, tid, uid, gid, cpu;
	int prev_pid, prev_prio, next_pid, next_prio;
	unsigned char even, down, nulls;
};
struct state {
	unsigned long long count;
};
#include "groups.h"

struct sched_switch {
	u64 common;
	char prev_comm[16];
	s32 prev_pid, prev_prio;
	s64 prev_state;
	char next_comm[16];
	s32 next_pid, next_prio;
};

u64 read_faults;

SEC("tracepoint/sched/sched_switch")
int program(struct sched_switch *ctx)
{
	/* Padding must be zero too, and so must text behind its end. */
	struct key key = {.probe = "tracepoint.sched.sched_switch"};
	struct state *state;
	u64 id;

	id = bpf_get_current_pid_tgid();
	key.pid = id >> 32;
	key.tid = id;
	id = bpf_get_current_uid_gid();
	key.uid = id;
	key.gid = id >> 32;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	key.cpu = bpf_get_smp_processor_id();
	key.cgroup_id = bpf_get_current_cgroup_id();
	if (unlikely(bpf_probe_read_kernel_str(key.prev_comm, sizeof(key.prev_comm), ctx->prev_comm) < 0)) {
		count(&read_faults);
		key.nulls |= 1;
	}
	key.prev_pid = ctx->prev_pid;
	key.prev_prio = ctx->prev_prio;
	key.prev_state = ctx->prev_state;
	if (unlikely(bpf_probe_read_kernel_str(key.next_comm, sizeof(key.next_comm), ctx->next_comm) < 0)) {
		count(&read_faults);
		key.nulls |= 2;
	}
	key.next_pid = ctx->next_pid;
	key.next_prio = ctx->next_prio;
	key.even = key.cpu % 2 == 0;
	key.down = key.prev_pid > key.next_pid;
	state = group(&key);
	if (state)
		state->count++;
	return 0;
}
