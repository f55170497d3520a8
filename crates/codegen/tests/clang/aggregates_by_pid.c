/* SELECT pid, count(*), sum(count), min(count), max(count) FROM tracepoint.syscalls.sys_enter_write GROUP BY pid */
#include "common.h"
struct state { u64 count, sum, min, max; };
struct { __uint(type, 5); __uint(max_entries, 10240); __type(key, u32); __type(value, struct state); } groups SEC(".maps");
u64 lost;
const volatile struct state zeros = {};

SEC("tp/syscalls/sys_enter_write")
int q(u64 *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct state *state = bpf_map_lookup_elem(&groups, &pid);
	u64 x;

	if (unlikely(!state)) {
		if (bpf_map_update_elem(&groups, &pid, (void *)&zeros, 1)) {
			__sync_fetch_and_add(&lost, 1);
			return 0;
		}
		state = bpf_map_lookup_elem(&groups, &pid);
		if (!state)
			return 0;
	}
	x = ctx[4];
	state->sum += x;
	if (!state->count || x < state->min)
		state->min = x;
	if (!state->count || x > state->max)
		state->max = x;
	state->count++;
	return 0;
}
