/* nap [--wait] N USEC: N nanosleep calls of USEC microseconds each (kernel function do_nanosleep). */

#include "load.h"

int main(int argc, char **argv)
{
    bool wait_first = take_wait(&argc, &argv);
    if (argc != 3) {
        fprintf(stderr, "usage: nap [--wait] N USEC\n");
        return 2;
    }
    int64_t n = number(argv[1]), usec = number(argv[2]);
    struct timespec length = {usec / 1000000, usec % 1000000 * 1000};
    struct tally t = {.pid = getpid(), .cpu = sched_getcpu()};
    announce(t.pid);
    if (wait_first)
        wait_for_start();
    t.start_ns = now_ns();
    for (int64_t i = 0; i < n; i++) {
        if (nanosleep(&length, NULL))
            fail("nanosleep");
        count(&t, usec);
    }
    t.end_ns = now_ns();
    print_tally(&t);
}
