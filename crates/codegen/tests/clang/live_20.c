/* 20 values live across three calls */
#include "common.h"
u64 out;

SEC("tp_btf/sys_enter")
int q(u64 *ctx)
{
	u64 sum = 0;
	u64 x0 = ctx[0] * 3;
	u64 x1 = ctx[1] * 5;
	u64 x2 = ctx[2] * 7;
	u64 x3 = ctx[3] * 9;
	u64 x4 = ctx[4] * 11;
	u64 x5 = ctx[5] * 13;
	u64 x6 = ctx[6] * 15;
	u64 x7 = ctx[7] * 17;
	u64 x8 = ctx[8] * 19;
	u64 x9 = ctx[9] * 21;
	u64 x10 = ctx[10] * 23;
	u64 x11 = ctx[11] * 25;
	u64 x12 = ctx[12] * 27;
	u64 x13 = ctx[13] * 29;
	u64 x14 = ctx[14] * 31;
	u64 x15 = ctx[15] * 33;
	u64 x16 = ctx[16] * 35;
	u64 x17 = ctx[17] * 37;
	u64 x18 = ctx[18] * 39;
	u64 x19 = ctx[19] * 41;
	sum += bpf_ktime_get_ns();
	sum ^= bpf_get_current_cgroup_id();
	sum *= bpf_get_current_uid_gid();
	sum = sum * 31 + x0;
	sum = sum * 31 + x1;
	sum = sum * 31 + x2;
	sum = sum * 31 + x3;
	sum = sum * 31 + x4;
	sum = sum * 31 + x5;
	sum = sum * 31 + x6;
	sum = sum * 31 + x7;
	sum = sum * 31 + x8;
	sum = sum * 31 + x9;
	sum = sum * 31 + x10;
	sum = sum * 31 + x11;
	sum = sum * 31 + x12;
	sum = sum * 31 + x13;
	sum = sum * 31 + x14;
	sum = sum * 31 + x15;
	sum = sum * 31 + x16;
	sum = sum * 31 + x17;
	sum = sum * 31 + x18;
	sum = sum * 31 + x19;
	out = sum;
	return 0;
}
