/* opener [--wait] [--cold] PATH N: opens PATH read-only and closes it, N times. The path is touched first, so
 * that a probe which reads it finds its page in memory; with --cold it stands in a new mapping each time,
 * which nobody has touched, so that no probe finds it. The tally is over the returned descriptors. */

#include "load.h"
#include <fcntl.h>
#include <limits.h>

static void touch(const volatile char *text)
{
    while (*text)
        text++;
}

/* A file in memory that holds the path. */
static int stored(const char *path)
{
    int fd = memfd_create("path", MFD_CLOEXEC);
    if (fd < 0 || write(fd, path, strlen(path) + 1) < 0)
        fail("memfd");
    return fd;
}

static int open_cold(int store)
{
    const char *path = mmap(NULL, PATH_MAX, PROT_READ, MAP_PRIVATE, store, 0);
    if (path == MAP_FAILED)
        fail("mmap");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    munmap((void *)path, PATH_MAX);
    return fd;
}

int main(int argc, char **argv)
{
    bool wait_first = take_wait(&argc, &argv);
    bool cold = argc == 4 && !strcmp(argv[1], "--cold");
    argv += cold, argc -= cold;
    if (argc != 3) {
        fprintf(stderr, "usage: opener [--wait] [--cold] PATH N\n");
        return 2;
    }
    int64_t n = number(argv[2]);
    struct tally t = {.pid = getpid(), .cpu = sched_getcpu()};
    announce(t.pid);
    if (wait_first)
        wait_for_start();
    touch(argv[1]);
    int store = cold ? stored(argv[1]) : -1;
    t.start_ns = now_ns();
    for (int64_t i = 0; i < n; i++) {
        int fd = cold ? open_cold(store) : open(argv[1], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fail(argv[1]);
        count(&t, fd);
        close(fd);
    }
    t.end_ns = now_ns();
    print_tally(&t);
}
