/* beat CALL RATE N: a tenth of N calls to get warm, then N calls, RATE a second (0: as fast as can be), on the processor
 * that it is told to run on. Prints `N NS WALL`: the calls, the time that was spent in them, and that from the first to the last.
 * CALL is getpgid, number (getpgid of ever new numbers from 0), read (of /dev/zero, 1 to 16 bytes), openat (a path of 20 characters, closed again) or renameat2 (of what is
 * not there). Other calls are made before and after; openat closes what it opens within the time. */

#include "load.h"
#include <fcntl.h>

static int zero;
static char buffer[16];

static void call_getpgid(int64_t i)
{
    syscall(SYS_getpgid, i & 1);
}

static void call_number(int64_t i)
{
    syscall(SYS_getpgid, i);
}

static void call_read(int64_t i)
{
    if (read(zero, buffer, (size_t)(i & 15) + 1) < 0)
        fail("read");
}

static void call_openat(int64_t i)
{
    (void)i;
    int fd = openat(AT_FDCWD, "/etc/../etc/hostname", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail("openat");
    close(fd);
}

static void call_renameat2(int64_t i)
{
    (void)i;
    syscall(SYS_renameat2, AT_FDCWD, "/nowhere/of/this/name", AT_FDCWD, "/nowhere/of/that/name", 0);
}

static const struct {
    const char *name;
    void (*call)(int64_t);
} CALLS[] = {
    {"getpgid", call_getpgid}, {"number", call_number}, {"read", call_read},
    {"openat", call_openat}, {"renameat2", call_renameat2},
};

/* The time in N calls, paced. The clock is read between them only if there is waiting to do. */
static uint64_t beat(void (*call)(int64_t), int64_t rate, int64_t n)
{
    uint64_t start = now_ns(), inside = 0;
    if (!rate) {
        for (int64_t i = 0; i < n; i++)
            call(i);
        return now_ns() - start;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t due = start + (uint64_t)i * 1000000000u / (uint64_t)rate, now;
        while ((now = now_ns()) < due)
            ;
        call(i);
        inside += now_ns() - now;
    }
    return inside;
}

int main(int argc, char **argv)
{
    alarm(LIFE_SECONDS);
    if (argc != 4) {
        fprintf(stderr, "usage: beat CALL RATE N\n");
        return 2;
    }
    int64_t rate = number(argv[2]), n = number(argv[3]);
    zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        if (strcmp(CALLS[i].name, argv[1]))
            continue;
        beat(CALLS[i].call, rate, n / 10);
        uint64_t start = now_ns(), inside = beat(CALLS[i].call, rate, n);
        printf("%" PRId64 " %" PRIu64 " %" PRIu64 "\n", n, inside, now_ns() - start);
        return 0;
    }
    fprintf(stderr, "error: no such call: %s\n", argv[1]);
    return 2;
}
