/* What every load program shares. What must hold:
 * - each process that makes the load is announced on stdout by a line `pid N` before it starts;
 * - with `--wait` the load starts only after SIGUSR1 or a line on stdin (the end of stdin does not
 *   start it), so that probes can attach first; after two minutes of waiting the program gives up;
 * - a worker makes, between its announcement and its end, no call of the counted kind but the load's;
 * - at the end one line of JSON per process says what was done, from the load's own arithmetic.
 * Not checked: that a worker is not interrupted; a counted call is made once and never repeated. */

#ifndef LOAD_H
#define LOAD_H

#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_SECONDS = 120, LIFE_SECONDS = 900, MAX_WORKERS = 64 };

/* One process's own arithmetic over the argument of its calls. */
struct tally {
    int pid, cpu;
    uint64_t calls, start_ns, end_ns;
    __int128 sum;
    int64_t min, max;
    /* [0] negative values, [1] zero, [2 + k] values in [2^k, 2^(k+1)). */
    uint64_t hist[2 + 63];
};

/* Shared by a load's processes. */
struct group {
    uint32_t go, arrived, workers;
    struct tally tally[MAX_WORKERS];
};

static inline void fail(const char *what)
{
    fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline int64_t number(const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    if (errno || !*text || *end) {
        fprintf(stderr, "error: %s is not a number\n", text);
        exit(2);
    }
    return value;
}

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Takes a leading `--wait` off the arguments. The signal is blocked from here on, so that one that
 * comes before the waiting is not lost, and nothing of the load outlives LIFE_SECONDS. */
static inline bool take_wait(int *argc, char ***argv)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    alarm(LIFE_SECONDS);
    if (*argc < 2 || strcmp((*argv)[1], "--wait"))
        return false;
    (*argv)[1] = (*argv)[0];
    ++*argv;
    --*argc;
    return true;
}

static inline void announce(int pid)
{
    printf("pid %d\n", pid);
    fflush(stdout);
}

/* Reads stdin up to a newline; false at its end, after which only the signal counts. */
static inline bool line_read(bool *newline)
{
    char c;
    ssize_t n = read(0, &c, 1);
    if (n == 1 && c == '\n')
        *newline = true;
    return n == 1;
}

static inline void wait_for_start(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    struct pollfd fds[2] = {{.fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    uint64_t until = now_ns() + WAIT_SECONDS * 1000000000ull;
    bool newline = false;
    while (!newline) {
        if (now_ns() > until) {
            fprintf(stderr, "error: nobody started the load within %d s\n", WAIT_SECONDS);
            exit(3);
        }
        poll(fds, 2, 1000);
        if (fds[0].revents)
            break;
        if (fds[1].revents && !line_read(&newline))
            fds[1].fd = -1;
    }
    close(fds[0].fd);
}

static inline void count(struct tally *t, int64_t value)
{
    if (!t->calls || value < t->min)
        t->min = value;
    if (!t->calls || value > t->max)
        t->max = value;
    t->calls++;
    t->sum += value;
    t->hist[value < 0 ? 0 : value == 0 ? 1 : 2 + 63 - __builtin_clzll((uint64_t)value)]++;
}

/* A 128-bit sum is text, since few JSON readers keep such a number whole. */
static inline void print_wide(__int128 value)
{
    char digits[48];
    int at = sizeof digits;
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    digits[--at] = 0;
    do
        digits[--at] = (char)('0' + (int)(rest % 10));
    while (rest /= 10);
    printf("\"%s%s\"", value < 0 ? "-" : "", digits + at);
}

/* `hist` maps the lower end of each bucket that is not empty to its count; "neg" is everything below zero. */
static inline void print_tally(const struct tally *t)
{
    printf("{\"pid\":%d,\"cpu\":%d,\"calls\":%" PRIu64 ",\"sum\":", t->pid, t->cpu, t->calls);
    print_wide(t->sum);
    printf(",\"min\":%" PRId64 ",\"max\":%" PRId64 ",\"hist\":{", t->min, t->max);
    const char *comma = "";
    for (int i = 0; i < 2 + 63; i++) {
        if (!t->hist[i])
            continue;
        if (i == 0)
            printf("%s\"neg\":%" PRIu64, comma, t->hist[i]);
        else
            printf("%s\"%" PRIu64 "\":%" PRIu64, comma, i == 1 ? 0 : (uint64_t)1 << (i - 2), t->hist[i]);
        comma = ",";
    }
    printf("},\"ns\":%" PRIu64 "}\n", t->end_ns - t->start_ns);
    fflush(stdout);
}

/* Pins this process to the INDEXth processor that it may use, counting round; returns its number. */
static inline int pin(int index)
{
    cpu_set_t may, one;
    if (sched_getaffinity(0, sizeof may, &may))
        fail("sched_getaffinity");
    int skip = index % CPU_COUNT(&may), cpu = 0;
    while (!CPU_ISSET(cpu, &may) || skip-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one))
        fail("sched_setaffinity");
    return cpu;
}

/* Sleeps until the group starts, then waits for the last of its processes, so that all start at once. */
static inline void meet(struct group *g)
{
    while (!__atomic_load_n(&g->go, __ATOMIC_ACQUIRE))
        syscall(SYS_futex, &g->go, FUTEX_WAIT, 0, NULL, NULL, 0);
    __atomic_add_fetch(&g->arrived, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&g->arrived, __ATOMIC_ACQUIRE) < g->workers)
        sched_yield(), __builtin_ia32_pause();
}

static inline void worker(struct group *g, int index, void (*load)(int, struct tally *))
{
    struct tally *t = &g->tally[index];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LIFE_SECONDS);
    t->pid = getpid();
    t->cpu = pin(index);
    meet(g);
    t->start_ns = now_ns();
    load(index, t);
    t->end_ns = now_ns();
    _exit(0);
}

/* Runs LOAD in WORKERS processes, one per processor, all at once; true if every one came to its end. */
static inline bool run_workers(int workers, bool wait_first, void (*load)(int, struct tally *))
{
    if (workers < 1 || workers > MAX_WORKERS) {
        fprintf(stderr, "error: 1 to %d processes, not %d\n", MAX_WORKERS, workers);
        exit(2);
    }
    struct group *g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (g == MAP_FAILED)
        fail("mmap");
    g->workers = (uint32_t)workers;
    fflush(stdout);
    for (int i = 0; i < workers; i++) {
        int pid = fork();
        if (pid < 0)
            fail("fork");
        if (pid == 0)
            worker(g, i, load);
        announce(pid);
    }
    if (wait_first)
        wait_for_start();
    __atomic_store_n(&g->go, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &g->go, FUTEX_WAKE, workers, NULL, NULL, 0);
    bool whole = true;
    for (int i = 0, status; i < workers; i++)
        whole &= wait(&status) > 0 && status == 0;
    for (int i = 0; i < workers; i++)
        print_tally(&g->tally[i]);
    return whole;
}

#endif
