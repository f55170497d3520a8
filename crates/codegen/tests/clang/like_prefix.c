/* SELECT count(*) FROM raw_syscalls.sys_enter WHERE comm LIKE 'systemd-%' AND pid <> 1 */
#include "common.h"
struct { __uint(type, 6); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } counts SEC(".maps");

SEC("tp_btf/sys_enter")
int q(u64 *ctx)
{
	u64 comm[2], *count;
	u32 zero = 0;

	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	if (comm[0] != 0x2d646d6574737973)
		return 0;
	count = bpf_map_lookup_elem(&counts, &zero);
	if (count)
		++*count;
	return 0;
}
