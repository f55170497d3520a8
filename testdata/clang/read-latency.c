/* The thread's last call is held until it is taken, and each that is held, replaced, taken or missed is counted. */
#include "bucket.h"

struct key {
	char comm[16];
};
struct state {
	u64 hist[BUCKETS];
};
#include "groups.h"

struct held {
	u64 ts;
	u8 full;
};
struct tallies {
	u64 held, replaced, taken, missed;
};

struct {
	__uint(type, HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct held);
} held SEC(".maps");

struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tallies);
} tallies SEC(".maps");

u64 held_failed, held_full, held_busy;

static __always_inline void count_held(long error)
{
	if (error == -E2BIG)
		count(&held_full);
	else if (error == -EBUSY)
		count(&held_busy);
	else
		count(&held_failed);
}

SEC("tracepoint/syscalls/sys_enter_read")
int enter(u64 *ctx)
{
	u32 zero = 0, tid;
	struct tallies *tally = bpf_map_lookup_elem(&tallies, &zero);
	struct held row = {};
	long error;

	if (!tally)
		return 0;
	row.ts = bpf_ktime_get_ns();
	row.full = 1;
	tid = bpf_get_current_pid_tgid();
	error = bpf_map_update_elem(&held, &tid, &row, BPF_NOEXIST);
	if (error == -EEXIST) {
		tally->replaced++;
		error = bpf_map_update_elem(&held, &tid, &row, BPF_ANY);
	}
	if (error)
		count_held(error);
	else
		tally->held++;
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_read")
int leave(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns(), at;
	u32 zero = 0, tid;
	struct tallies *tally = bpf_map_lookup_elem(&tallies, &zero);
	struct key key = {};
	struct state *state;
	struct held *row;

	if (!tally)
		return 0;
	tid = bpf_get_current_pid_tgid();
	row = bpf_map_lookup_elem(&held, &tid);
	if (!row) {
		tally->missed++;
		return 0;
	}
	tally->taken++;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	state = group(&key);
	if (state) {
		at = bucket(now - row->ts);
		if (at < BUCKETS)
			state->hist[at]++;
	}
	bpf_map_delete_elem(&held, &tid);
	return 0;
}
