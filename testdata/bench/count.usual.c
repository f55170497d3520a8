#include "bench.h"

u64 count;

SEC("tp/raw_syscalls/sys_enter")
int program(struct trace_event_raw_sys_enter *ctx)
{
	__sync_fetch_and_add(&count, 1);
	return 0;
}
