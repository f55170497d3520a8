#include "bench.h"

#define SLOTS 64

struct group_key {
	char comm[TASK_COMM_LEN];
};

struct hist_slots {
	u64 slots[SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, u32);
	__type(value, u64);
} starts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct group_key);
	__type(value, struct hist_slots);
} hists SEC(".maps");

static const struct hist_slots zero;

SEC("tp/syscalls/sys_enter_read")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 ts = bpf_ktime_get_ns();

	bpf_map_update_elem(&starts, &tid, &ts, BPF_ANY);
	return 0;
}

SEC("tp/syscalls/sys_exit_read")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct group_key key = {};
	struct hist_slots *hist;
	u64 *start, slot;
	s64 delta;

	start = bpf_map_lookup_elem(&starts, &tid);
	if (!start)
		return 0;
	delta = bpf_ktime_get_ns() - *start;
	bpf_map_delete_elem(&starts, &tid);
	if (delta < 0)
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	hist = lookup_or_try_init(&hists, &key, &zero);
	if (!hist)
		return 0;
	slot = log2l(delta);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	__sync_fetch_and_add(&hist->slots[slot], 1);
	return 0;
}
