/* burst [--wait] RATE N: N getpgid calls, RATE a second (0: as fast as can be), in each of two processes on
 * two processors at once. The argument counts up from 0, so that a row that is missing or comes
 * twice can be named. `ns` in the tally gives the rate that was reached. */

#include "load.h"

static int64_t rate, calls;

/* Spins, since a sleep is longer than the time between two calls; the clock is read without a call where the kernel allows it. */
static void pace(uint64_t start, int64_t done)
{
    uint64_t due = start + (uint64_t)((__int128)done * 1000000000 / rate);
    while (now_ns() < due)
        ;
}

static void burst(int index, struct tally *t)
{
    (void)index;
    for (int64_t i = 0; i < calls; i++) {
        if (rate)
            pace(t->start_ns, i);
        syscall(SYS_getpgid, i);
        count(t, i);
    }
}

int main(int argc, char **argv)
{
    bool wait_first = take_wait(&argc, &argv);
    if (argc != 3) {
        fprintf(stderr, "usage: burst [--wait] RATE N\n");
        return 2;
    }
    rate = number(argv[1]);
    calls = number(argv[2]);
    return run_workers(2, wait_first, burst) ? 0 : 1;
}
