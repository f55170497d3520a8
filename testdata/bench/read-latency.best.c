#include "bench.h"

#define SLOTS 64

struct group_key {
	char comm[TASK_COMM_LEN] __attribute__((aligned(8)));
};

struct hist_slots {
	u64 slots[SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} starts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, struct hist_slots);
} hists SEC(".maps");

static const struct hist_slots zero;

SEC("tp/syscalls/sys_enter_read")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	u64 *start = bpf_task_storage_get(&starts, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (start)
		*start = bpf_ktime_get_ns();
	return 0;
}

SEC("tp/syscalls/sys_exit_read")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 *start = bpf_task_storage_get(&starts, task, 0, 0);
	struct hist_slots *hist;
	struct group_key key;
	s64 delta;
	u64 slot;

	if (!start || !*start)
		return 0;
	delta = bpf_ktime_get_ns() - *start;
	*start = 0;
	if (delta < 0)
		return 0;
	copy_comm(key.comm, task);
	hist = lookup_or_try_init(&hists, &key, &zero);
	if (!hist)
		return 0;
	slot = log2l(delta);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	hist->slots[slot]++;
	return 0;
}
