#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp_btf/sys_enter")
int count(u64 *ctx)
{
	u32 first = 0;
	u64 *count = bpf_map_lookup_elem(&counts, &first);

	if (count)
		++*count;
	return 0;
}
