/* uring [--wait] RATE N: N io_uring requests that do nothing, RATE a second (0: as fast as can be), from one process on
 * one processor. 256 are submitted by one system call, so that they come as fast as a tracer can take them: each passes
 * the tracepoints io_uring_submit_req and io_uring_complete once. `user_data` counts up from 0, so that a row that is
 * missing or comes twice can be named. The tally is over it; `ns` gives the rate that was reached. */

#include "load.h"
#include <linux/io_uring.h>

enum { BATCH = 256 };

/* The rings that are shared with the kernel, as far as a submitter of NOPs looks at them. */
struct ring {
    int fd;
    uint32_t *tail, *mask, *array, *done_head, *done_tail;
    struct io_uring_sqe *requests;
};

static int64_t rate, requests;

static void *share(int fd, size_t size, off_t what)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    if (at == MAP_FAILED)
        fail("mmap");
    return at;
}

static struct ring open_ring(void)
{
    struct io_uring_params p = {0};
    int fd = (int)syscall(SYS_io_uring_setup, BATCH, &p);
    if (fd < 0)
        fail("io_uring_setup");
    char *submitted = share(fd, p.sq_off.array + p.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
    char *done = share(fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    return (struct ring){
        .fd = fd,
        .tail = (uint32_t *)(submitted + p.sq_off.tail),
        .mask = (uint32_t *)(submitted + p.sq_off.ring_mask),
        .array = (uint32_t *)(submitted + p.sq_off.array),
        .done_head = (uint32_t *)(done + p.cq_off.head),
        .done_tail = (uint32_t *)(done + p.cq_off.tail),
        .requests = share(fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES),
    };
}

/* Submits requests FIRST to FIRST + COUNT - 1, all of which are done when the call returns. */
static void submit(struct ring *r, int64_t first, uint32_t count)
{
    uint32_t tail = *r->tail;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = (tail + i) & *r->mask;
        r->requests[slot] = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = (uint64_t)first + i};
        r->array[slot] = slot;
    }
    __atomic_store_n(r->tail, tail + count, __ATOMIC_RELEASE);
    long took = syscall(SYS_io_uring_enter, r->fd, count, count, IORING_ENTER_GETEVENTS, NULL, 0);
    if (took != (long)count)
        fail("io_uring_enter");
    uint32_t done = __atomic_load_n(r->done_tail, __ATOMIC_ACQUIRE);
    if (done - *r->done_head != count)
        fail("requests were not done");
    __atomic_store_n(r->done_head, done, __ATOMIC_RELEASE);
}

/* Spins, since a sleep is longer than the time between two batches. */
static void pace(uint64_t start, int64_t done)
{
    uint64_t due = start + (uint64_t)((__int128)done * 1000000000 / rate);
    while (now_ns() < due)
        ;
}

static void nops(int index, struct tally *t)
{
    (void)index;
    struct ring r = open_ring();
    for (int64_t i = 0; i < requests; i += BATCH) {
        int64_t count_now = requests - i < BATCH ? requests - i : BATCH;
        if (rate)
            pace(t->start_ns, i);
        submit(&r, i, (uint32_t)count_now);
        for (int64_t k = i; k < i + count_now; k++)
            count(t, k);
    }
}

int main(int argc, char **argv)
{
    bool wait_first = take_wait(&argc, &argv);
    if (argc != 3) {
        fprintf(stderr, "usage: uring [--wait] RATE N\n");
        return 2;
    }
    rate = number(argv[1]);
    requests = number(argv[2]);
    return run_workers(1, wait_first, nops) ? 0 : 1;
}
