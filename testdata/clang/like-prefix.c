#include "common.h"

struct state {
	u64 count;
};

struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct state);
} groups SEC(".maps");

SEC("tracepoint/raw_syscalls/sys_enter")
int program(u64 *ctx)
{
	char comm[16] __attribute__((aligned(8)));
	struct state *state;
	u32 zero = 0;

	bpf_get_current_comm(comm, sizeof(comm));
	if (__builtin_memcmp(comm, "systemd-", 8))
		return 0;
	state = bpf_map_lookup_elem(&groups, &zero);
	if (state)
		state->count++;
	return 0;
}
