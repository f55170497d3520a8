#include "bench.h"

struct group_key {
	u32 pid;
	u32 tid;
	u32 uid;
	u32 cpu;
	s64 id;
	char comm[TASK_COMM_LEN] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp_btf/sys_enter")
int count(u64 *ctx)
{
	static const u64 zero;
	struct task_struct *task = bpf_get_current_task_btf();
	struct group_key key;
	u64 *count;

	key.pid = task->tgid;
	key.tid = task->pid;
	key.uid = task->cred->uid.val;
	key.cpu = bpf_get_smp_processor_id();
	key.id = ctx[1];
	copy_comm(key.comm, task);
	count = lookup_or_try_init(&counts, &key, &zero);
	if (count)
		++*count;
	return 0;
}
