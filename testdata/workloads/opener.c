/* opener [--wait] PATH N: opens PATH read-only and closes it, N times. The path is touched first, so
 * that a probe which reads it finds its page in memory. The tally is over the returned descriptors. */

#include "load.h"
#include <fcntl.h>

static void touch(const volatile char *text)
{
    while (*text)
        text++;
}

int main(int argc, char **argv)
{
    bool wait_first = take_wait(&argc, &argv);
    if (argc != 3) {
        fprintf(stderr, "usage: opener [--wait] PATH N\n");
        return 2;
    }
    int64_t n = number(argv[2]);
    struct tally t = {.pid = getpid(), .cpu = sched_getcpu()};
    announce(t.pid);
    if (wait_first)
        wait_for_start();
    touch(argv[1]);
    t.start_ns = now_ns();
    for (int64_t i = 0; i < n; i++) {
        int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fail(argv[1]);
        count(&t, fd);
        close(fd);
    }
    t.end_ns = now_ns();
    print_tally(&t);
}
