/* What the C programs beside the SQL share: the usual headers, libbpf-tools' helpers, ring-buffer wake-ups by fill.
 *
 * NAME.usual.c is the program as an experienced user writes it with libbpf, in the manner of bcc's libbpf-tools: perf
 * tracepoints, a hash map, look up and insert what is missing, atomic additions, records that wake the reader. NAME.best.c is
 * the fastest form that is known for the same rows. Both have the maps' sizes and the texts' widths of the SQL. */
#pragma once
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define EEXIST 17
#define MAX_ENTRIES 4096
#define TASK_COMM_LEN 16
#define NAME_LEN 256
#define RING_BYTES (16 << 20)

char LICENSE[] SEC("license") = "GPL";

/* libbpf-tools/maps.bpf.h */
static __always_inline void *lookup_or_try_init(void *map, const void *key, const void *init)
{
	void *value = bpf_map_lookup_elem(map, key);
	long error;

	if (value)
		return value;
	error = bpf_map_update_elem(map, key, init, BPF_NOEXIST);
	if (error && error != -EEXIST)
		return 0;
	return bpf_map_lookup_elem(map, key);
}

/* libbpf-tools/bits.bpf.h */
static __always_inline u64 log2(u32 v)
{
	u32 shift, r;

	r = (v > 0xFFFF) << 4; v >>= r;
	shift = (v > 0xFF) << 3; v >>= shift; r |= shift;
	shift = (v > 0xF) << 2; v >>= shift; r |= shift;
	shift = (v > 0x3) << 1; v >>= shift; r |= shift;
	r |= (v >> 1);

	return r;
}

static __always_inline u64 log2l(u64 v)
{
	u32 hi = v >> 32;

	if (hi)
		return log2(hi) + 32;
	return log2(v);
}

/* The task's name as two words, padded with zeros since 6.4; TO has the alignment of a word. */
static __always_inline void copy_comm(void *to, const struct task_struct *task)
{
	const u64 *from = (const u64 *)task->comm;

	((u64 *)to)[0] = from[0];
	((u64 *)to)[1] = from[1];
}

/* Wakes the reader at an eighth; it looks by itself every 50 ms. */
static __always_inline u64 by_fill(void *ring)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= RING_BYTES / 8 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}
