#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp/syscalls/sys_enter_getpgid")
int count(struct trace_event_raw_sys_enter *ctx)
{
	static const u64 zero;
	u32 number = ctx->args[0];
	u64 *count = lookup_or_try_init(&counts, &number, &zero);

	if (count)
		++*count;
	return 0;
}
