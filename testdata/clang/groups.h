/* A map of groups, the same layout as bpfquery's: `struct key`, `struct state`. */
#pragma once
#include "common.h"

struct {
	__uint(type, PERCPU_HASH);
	__uint(max_entries, 10240);
	__type(key, struct key);
	__type(value, struct state);
} groups SEC(".maps");

const volatile struct state zeros = {};
u64 groups_full, groups_no_memory, groups_busy, groups_failed;

/* The key's state, made if it is new. NULL, and counted by reason, if it cannot be made. */
static __always_inline struct state *group(const struct key *key)
{
	struct state *state = bpf_map_lookup_elem(&groups, key);
	long error;

	if (likely(state))
		return state;
	error = bpf_map_update_elem(&groups, key, (const void *)&zeros, BPF_NOEXIST);
	/* Somebody else may have made it meanwhile. */
	state = bpf_map_lookup_elem(&groups, key);
	if (state)
		return state;
	if (error == -E2BIG)
		count(&groups_full);
	else if (error == -ENOMEM)
		count(&groups_no_memory);
	else if (error == -EBUSY)
		count(&groups_busy);
	else
		count(&groups_failed);
	return 0;
}
