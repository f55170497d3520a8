#!/usr/bin/env bash
# bench.sh
#
# Prints, for `count by comm` over openat, how long bpfquery and bpftrace take from start to live
# and how much memory they take, and how large the release binary is. "Live" is when the command
# given with -c runs, which both start only after attaching; memory is the peak resident size while live.
# The best of five runs counts, since anything slower is the machine's doing.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root bench.sh
"$ROOT/scripts/cargo.sh" build --locked --release -p bpfquery >&2
bpfquery=$TARGET/release/bpfquery
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The command under -c: when it began, and its parent's (the tracer's) peak resident size.
cat >"$work/live.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct timespec t;
    char line[256];
    clock_gettime(CLOCK_MONOTONIC, &t);
    FILE *out = fopen(argv[argc - 1], "w");
    snprintf(line, sizeof line, "/proc/%d/status", getppid());
    FILE *status = fopen(line, "r");
    fprintf(out, "%lld", t.tv_sec * 1000000000LL + t.tv_nsec);
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6))
            fprintf(out, " %s", line + 6);
    return fclose(out);
}
C
cat >"$work/start.c" <<'C'
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct timespec t;
    (void)argc;
    FILE *out = fopen(argv[1], "w");
    clock_gettime(CLOCK_MONOTONIC, &t);
    fprintf(out, "%lld\n", t.tv_sec * 1000000000LL + t.tv_nsec);
    fclose(out);
    return execvp(argv[2], argv + 2);
}
C
gcc -O2 -o "$work/live" "$work/live.c"
gcc -O2 -o "$work/start" "$work/start.c"

# measure NAME COMMAND...: five runs, the best of each figure.
measure() {
  local name=$1 began live rss best_ms='' best_kb=''
  shift
  for _ in 1 2 3 4 5; do
    "$work/start" "$work/began" "$@" >/dev/null 2>"$work/stderr" </dev/null || die "$name: $(cat "$work/stderr")"
    began=$(cat "$work/began")
    read -r live rss _ <"$work/lived"
    live=$(((live - began) / 10000))
    if [ -z "$best_ms" ] || [ "$live" -lt "$best_ms" ]; then best_ms=$live; fi
    if [ -z "$best_kb" ] || [ "$rss" -lt "$best_kb" ]; then best_kb=$rss; fi
  done
  printf '%-10s start to live %4d.%02d ms   peak memory %6d KiB\n' "$name" $((best_ms / 100)) $((best_ms % 100)) "$best_kb"
}

measure bpfquery "$bpfquery" run -c "$work/live $work/lived" \
  -e 'select comm, count(*) from tracepoint.syscalls.sys_enter_openat group by comm'
measure bpftrace bpftrace -c "$work/live $work/lived" \
  -e 'tracepoint:syscalls:sys_enter_openat { @[comm] = count(); }'
printf '%-10s release binary %s KiB\n' bpfquery $(($(stat -c %s "$bpfquery") / 1024))
