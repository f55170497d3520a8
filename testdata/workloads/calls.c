/* calls [--wait] [--call read|getpgid|lseek] PROCESSES N: N system calls in each of PROCESSES
 * processes, one per processor, all at once. The tally is over one argument, which varies in size
 * and is the same on every run:
 *   read     `count`, 0 to 65535, of /dev/zero (what vfs_read returns too);
 *   getpgid  `pid`, a signed 32-bit number (the call fails, and costs little);
 *   lseek    `offset`, a signed 64-bit number, on /dev/zero, which takes any. */

#include "load.h"
#include <fcntl.h>

static int64_t calls;
static int zero;

/* The next of a worker's own numbers (Knuth's MMIX generator; only its high bits are good). */
static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state;
}

/* A number of BITS bits, sign included, whose magnitude is spread evenly over the powers of two. */
static int64_t spread(uint64_t *state, int bits)
{
    int64_t value = (int64_t)next(state) >> (64 - bits);
    return value >> (next(state) >> 33) % (uint64_t)bits;
}

static void reads(int index, struct tally *t)
{
    static char buffer[1 << 16];
    uint64_t state = (uint64_t)index + 1;
    for (int64_t i = 0; i < calls; i++) {
        int64_t size = spread(&state, 17);
        size = size < 0 ? ~size : size;
        if (read(zero, buffer, (size_t)size) != size)
            _exit(1);
        count(t, size);
    }
}

static void getpgids(int index, struct tally *t)
{
    uint64_t state = (uint64_t)index + 1;
    for (int64_t i = 0; i < calls; i++) {
        int64_t pid = spread(&state, 32);
        syscall(SYS_getpgid, pid);
        count(t, pid);
    }
}

static void lseeks(int index, struct tally *t)
{
    uint64_t state = (uint64_t)index + 1;
    for (int64_t i = 0; i < calls; i++) {
        int64_t offset = spread(&state, 64);
        syscall(SYS_lseek, zero, offset, SEEK_SET);
        count(t, offset);
    }
}

static void (*kind(const char *name))(int, struct tally *)
{
    if (!strcmp(name, "read"))
        return reads;
    if (!strcmp(name, "getpgid"))
        return getpgids;
    if (!strcmp(name, "lseek"))
        return lseeks;
    fprintf(stderr, "error: no such call: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    bool wait_first = take_wait(&argc, &argv);
    void (*load)(int, struct tally *) = reads;
    if (argc > 2 && !strcmp(argv[1], "--call")) {
        load = kind(argv[2]);
        argc -= 2, argv += 2;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: calls [--wait] [--call read|getpgid|lseek] PROCESSES N\n");
        return 2;
    }
    int64_t processes = number(argv[1]);
    calls = number(argv[2]);
    zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (zero < 0)
        fail("/dev/zero");
    return run_workers((int)processes, wait_first, load) ? 0 : 1;
}
