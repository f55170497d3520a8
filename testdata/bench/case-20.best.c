#include "bench.h"

/* The reader has their names. */
enum kind { READ, WRITE, OPEN, CLOSE, STAT, POLL, SEEK, MEMORY, FUTEX, OTHER, KINDS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

static __always_inline u32 kind(u64 id)
{
	switch (id) {
	case 0:
	case 17:
	case 19:
		return READ;
	case 1:
	case 18:
	case 20:
		return WRITE;
	case 2:
	case 257:
		return OPEN;
	case 3:
		return CLOSE;
	case 4:
	case 5:
	case 6:
	case 262:
		return STAT;
	case 7:
		return POLL;
	case 8:
		return SEEK;
	case 9:
	case 10:
	case 11:
	case 12:
		return MEMORY;
	case 202:
		return FUTEX;
	default:
		return OTHER;
	}
}

SEC("tp_btf/sys_enter")
int count(u64 *ctx)
{
	u32 key = kind(ctx[1]);
	u64 *count = bpf_map_lookup_elem(&counts, &key);

	if (count)
		++*count;
	return 0;
}
