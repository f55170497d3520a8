/* Numbers that system calls have are slots of an array; others go to a map of groups. */
struct key {
	unsigned long long id;
};
struct state {
	unsigned long long count;
};
#include "groups.h"

struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, 512);
	__type(key, u32);
	__type(value, struct state);
} slots SEC(".maps");

SEC("tracepoint/raw_syscalls/sys_enter")
int program(u64 *ctx)
{
	struct key key = { ctx[1] };
	u32 slot = key.id;
	struct state *state = key.id < 512 ? bpf_map_lookup_elem(&slots, &slot) : group(&key);

	if (state)
		state->count++;
	return 0;
}
