#include "bench.h"

struct event {
	u64 ts;
	u32 pid;
	u32 tid;
	u32 uid;
	u32 gid;
	u32 cpu;
	s32 olddfd;
	s32 newdfd;
	u32 flags;
	char comm[TASK_COMM_LEN];
	char oldname[NAME_LEN];
	char newname[NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

SEC("tp/syscalls/sys_enter_renameat2")
int renamed(struct trace_event_raw_sys_enter *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	u64 both;

	if (!event)
		return 0;
	event->ts = bpf_ktime_get_ns();
	both = bpf_get_current_pid_tgid();
	event->pid = both >> 32;
	event->tid = both;
	both = bpf_get_current_uid_gid();
	event->uid = both;
	event->gid = both >> 32;
	event->cpu = bpf_get_smp_processor_id();
	event->olddfd = ctx->args[0];
	event->newdfd = ctx->args[2];
	event->flags = ctx->args[4];
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bpf_probe_read_user_str(event->oldname, sizeof(event->oldname), (const void *)ctx->args[1]);
	bpf_probe_read_user_str(event->newname, sizeof(event->newname), (const void *)ctx->args[3]);
	bpf_ringbuf_submit(event, 0);
	return 0;
}
