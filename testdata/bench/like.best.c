#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("tp_btf/sys_enter")
int count(u64 *ctx)
{
	static const u64 zero;
	struct task_struct *task = bpf_get_current_task_btf();
	u64 *count;
	u32 pid;

	if (task->comm[0] != 'b' || task->comm[1] != 'e' || task->comm[2] != 'a')
		return 0;
	pid = task->tgid;
	count = lookup_or_try_init(&counts, &pid, &zero);
	if (count)
		++*count;
	return 0;
}
