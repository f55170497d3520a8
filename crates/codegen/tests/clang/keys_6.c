/* SELECT pid, uid, cgroup_id, cpu, id, comm, count(*), sum(x) FROM … GROUP BY 6 keys */
#include "common.h"
struct key { u64 cgroup, id; u32 pid, uid, cpu, pad; char comm[16]; };
struct state { u64 count, sum; };
struct { __uint(type, 5); __uint(max_entries, 10240); __type(key, struct key); __type(value, struct state); } groups SEC(".maps");
const volatile struct state zeros = {};
u64 lost;

SEC("tp_btf/sys_enter")
int q(u64 *ctx)
{
	struct key key;
	struct state *state;

	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.uid = bpf_get_current_uid_gid();
	key.cgroup = bpf_get_current_cgroup_id();
	key.cpu = bpf_get_smp_processor_id();
	key.pad = 0;
	key.id = ctx[1];
	__builtin_memset(key.comm, 0, sizeof(key.comm)); /* 6.1 does not fill what is behind the name */
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = bpf_map_lookup_elem(&groups, &key);
	if (unlikely(!state)) {
		if (bpf_map_update_elem(&groups, &key, (void *)&zeros, 1)) {
			__sync_fetch_and_add(&lost, 1);
			return 0;
		}
		state = bpf_map_lookup_elem(&groups, &key);
		if (!state)
			return 0;
	}
	state->count++;
	state->sum += ctx[0];
	return 0;
}
