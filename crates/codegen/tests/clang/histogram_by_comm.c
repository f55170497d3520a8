/* SELECT comm, hist(x.ts - e.ts) FROM raw_syscalls.sys_enter e JOIN raw_syscalls.sys_exit x ON e.tid = x.tid GROUP BY comm: the exit side */
#include "common.h"
struct hist { u64 buckets[66]; };
struct { __uint(type, 1); __uint(max_entries, 10240); __type(key, u32); __type(value, u64); } starts SEC(".maps");
struct { __uint(type, 5); __uint(max_entries, 1024); __type(key, char[16]); __type(value, struct hist); } hists SEC(".maps");
const volatile struct hist zeros = {};
u64 lost;

static __attribute__((always_inline)) u64 log2(u64 v)
{
	u64 r, shift;

	r = (v > 0xFFFFFFFF) << 5; v >>= r;
	shift = (v > 0xFFFF) << 4; v >>= shift; r |= shift;
	shift = (v > 0xFF) << 3; v >>= shift; r |= shift;
	shift = (v > 0xF) << 2; v >>= shift; r |= shift;
	shift = (v > 0x3) << 1; v >>= shift; r |= shift;
	r |= (v >> 1);
	return r;
}

SEC("tp_btf/sys_exit")
int q(u64 *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 *start = bpf_map_lookup_elem(&starts, &tid);
	struct hist *hist;
	char comm[16] = {}; /* 6.1 does not fill what is behind the name */
	u64 delta, bucket;

	if (!start)
		return 0;
	delta = bpf_ktime_get_ns() - *start;
	bpf_map_delete_elem(&starts, &tid);
	bpf_get_current_comm(comm, sizeof(comm));
	hist = bpf_map_lookup_elem(&hists, comm);
	if (unlikely(!hist)) {
		bpf_map_update_elem(&hists, comm, (void *)&zeros, 1);
		hist = bpf_map_lookup_elem(&hists, comm);
		if (!hist) {
			__sync_fetch_and_add(&lost, 1);
			return 0;
		}
	}
	bucket = delta ? log2(delta) + 1 : 0;
	if (bucket > 65)
		return 0;
	hist->buckets[bucket]++;
	return 0;
}
