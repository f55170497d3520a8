/* Histograms: x < 0, x = 0, and a bucket for each power of two. */
#pragma once
#include "common.h"

#define BUCKETS 66

/* log2l of libbpf-tools/bits.bpf.h. */
static __always_inline u64 log2l(u64 v)
{
	u64 shift, r;

	r = (v > 0xFFFFFFFF) << 5;
	v >>= r;
	shift = (v > 0xFFFF) << 4;
	v >>= shift;
	r |= shift;
	shift = (v > 0xFF) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xF) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	r |= (v >> 1);
	return r;
}

static __always_inline u64 bucket(s64 x)
{
	return x < 0 ? 0 : x == 0 ? 1 : 2 + log2l(x);
}
