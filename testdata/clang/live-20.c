#include "common.h"

struct row {
	s64 x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15, x16, x17, x18, x19, x20;
};
#include "rows.h"

struct sched_switch {
	u64 common;
	char prev_comm[16];
	s32 prev_pid, prev_prio;
	s64 prev_state;
	char next_comm[16];
	s32 next_pid, next_prio;
};

SEC("tracepoint/sched/sched_switch")
int program(struct sched_switch *ctx)
{
	s64 x1 = (ctx->prev_pid ^ 1ll) * 3;
	s64 x2 = (ctx->next_pid ^ 2ll) * 5;
	s64 x3 = (ctx->prev_prio ^ 3ll) * 7;
	s64 x4 = (ctx->next_prio ^ 4ll) * 9;
	s64 x5 = (ctx->prev_state ^ 5ll) * 11;
	s64 x6 = (ctx->prev_pid ^ 6ll) * 13;
	s64 x7 = (ctx->next_pid ^ 7ll) * 15;
	s64 x8 = (ctx->prev_prio ^ 8ll) * 17;
	s64 x9 = (ctx->next_prio ^ 9ll) * 19;
	s64 x10 = (ctx->prev_state ^ 10ll) * 21;
	s64 x11 = (ctx->prev_pid ^ 11ll) * 23;
	s64 x12 = (ctx->next_pid ^ 12ll) * 25;
	s64 x13 = (ctx->prev_prio ^ 13ll) * 27;
	s64 x14 = (ctx->next_prio ^ 14ll) * 29;
	s64 x15 = (ctx->prev_state ^ 15ll) * 31;
	s64 x16 = (ctx->prev_pid ^ 16ll) * 33;
	s64 x17 = (ctx->next_pid ^ 17ll) * 35;
	s64 x18 = (ctx->prev_prio ^ 18ll) * 37;
	s64 x19 = (ctx->next_prio ^ 19ll) * 39;
	s64 x20 = (ctx->prev_state ^ 20ll) * 41;
	s64 sum = x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 +
	      x11 + x12 + x13 + x14 + x15 + x16 + x17 + x18 + x19 + x20;
	struct row *row;
	u64 other;

	other = bpf_get_smp_processor_id();
	other += (u32)bpf_get_current_uid_gid();
	other += bpf_get_current_pid_tgid() >> 32;
	if (sum < 0 || (u64)sum <= other)
		return 0;
	row = reserve();
	if (!row)
		return 0;
	row->x1 = x1;
	row->x2 = x2;
	row->x3 = x3;
	row->x4 = x4;
	row->x5 = x5;
	row->x6 = x6;
	row->x7 = x7;
	row->x8 = x8;
	row->x9 = x9;
	row->x10 = x10;
	row->x11 = x11;
	row->x12 = x12;
	row->x13 = x13;
	row->x14 = x14;
	row->x15 = x15;
	row->x16 = x16;
	row->x17 = x17;
	row->x18 = x18;
	row->x19 = x19;
	row->x20 = x20;
	bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
	return 0;
}
