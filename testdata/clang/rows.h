/* A stream of rows: `struct row`. */
#pragma once
#include "common.h"

struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 16 << 20);
} rows SEC(".maps");

u64 rows_lost;

/* Room for a row; NULL, and counted, if there is none. */
static __always_inline struct row *reserve(void)
{
	struct row *row = bpf_ringbuf_reserve(&rows, sizeof(*row), 0);

	if (unlikely(!row))
		count(&rows_lost);
	return row;
}
