/* Each CPU's number is its own key. */
#include "common.h"

struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} groups SEC(".maps");

SEC("tracepoint/raw_syscalls/sys_enter")
int program(u64 *ctx)
{
	u32 key = 0;
	u64 *state = bpf_map_lookup_elem(&groups, &key);

	if (state)
		++*state;
	return 0;
}
