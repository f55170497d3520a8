/* SELECT comm, count(*) FROM raw_syscalls.sys_enter GROUP BY comm */
#include "common.h"
struct { __uint(type, 1); __uint(max_entries, 10240); __type(key, char[16]); __type(value, u64); } counts SEC(".maps");
u64 lost;

SEC("tp_btf/sys_enter")
int q(u64 *ctx)
{
	char comm[16] = {}; /* 6.1 does not fill what is behind the name */
	u64 one = 1, *count;

	bpf_get_current_comm(comm, sizeof(comm));
	count = bpf_map_lookup_elem(&counts, comm);
	if (count)
		__sync_fetch_and_add(count, 1);
	else if (bpf_map_update_elem(&counts, comm, &one, 0))
		__sync_fetch_and_add(&lost, 1);
	return 0;
}
