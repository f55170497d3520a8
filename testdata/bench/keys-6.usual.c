#include "bench.h"

struct group_key {
	u32 pid;
	u32 tid;
	u32 uid;
	u32 cpu;
	s64 id;
	char comm[TASK_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp/raw_syscalls/sys_enter")
int count(struct trace_event_raw_sys_enter *ctx)
{
	static const u64 zero;
	u64 pid_tgid = bpf_get_current_pid_tgid();
	struct group_key key = {};
	u64 *count;

	key.pid = pid_tgid >> 32;
	key.tid = pid_tgid;
	key.uid = bpf_get_current_uid_gid();
	key.cpu = bpf_get_smp_processor_id();
	key.id = ctx->id;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	count = lookup_or_try_init(&counts, &key, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
