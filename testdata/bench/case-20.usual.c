#include "bench.h"

struct group_key {
	char kind[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, u64);
} counts SEC(".maps");

static __always_inline struct group_key kind(long id)
{
	switch (id) {
	case 0:
	case 17:
	case 19:
		return (struct group_key){ .kind = "read" };
	case 1:
	case 18:
	case 20:
		return (struct group_key){ .kind = "write" };
	case 2:
	case 257:
		return (struct group_key){ .kind = "open" };
	case 3:
		return (struct group_key){ .kind = "close" };
	case 4:
	case 5:
	case 6:
	case 262:
		return (struct group_key){ .kind = "stat" };
	case 7:
		return (struct group_key){ .kind = "poll" };
	case 8:
		return (struct group_key){ .kind = "seek" };
	case 9:
	case 10:
	case 11:
	case 12:
		return (struct group_key){ .kind = "memory" };
	case 202:
		return (struct group_key){ .kind = "futex" };
	default:
		return (struct group_key){ .kind = "other" };
	}
}

SEC("tp/raw_syscalls/sys_enter")
int count(struct trace_event_raw_sys_enter *ctx)
{
	static const u64 zero;
	struct group_key key = kind(ctx->id);
	u64 *count = lookup_or_try_init(&counts, &key, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
