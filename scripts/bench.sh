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
"$ROOT/scripts/workloads.sh" >/dev/null
bpfquery=$TARGET/release/bpfquery start=$TARGET/workloads/start live=$TARGET/workloads/live
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure NAME COMMAND...: five runs, the best of each figure.
measure() {
  local name=$1 began lived rss best_ms='' best_kb=''
  shift
  for _ in 1 2 3 4 5; do
    "$start" "$work/began" "$@" >/dev/null 2>"$work/stderr" </dev/null || die "$name: $(cat "$work/stderr")"
    began=$(cat "$work/began")
    read -r lived rss _ <"$work/lived"
    lived=$(((lived - began) / 10000))
    if [ -z "$best_ms" ] || [ "$lived" -lt "$best_ms" ]; then best_ms=$lived; fi
    if [ -z "$best_kb" ] || [ "$rss" -lt "$best_kb" ]; then best_kb=$rss; fi
  done
  printf '%-10s start to live %4d.%02d ms   peak memory %6d KiB\n' "$name" $((best_ms / 100)) $((best_ms % 100)) "$best_kb"
}

measure bpfquery "$bpfquery" run -c "$live $work/lived" \
  -e 'select comm, count(*) from tracepoint.syscalls.sys_enter_openat group by comm'
measure bpftrace bpftrace -c "$live $work/lived" \
  -e 'tracepoint:syscalls:sys_enter_openat { @[comm] = count(); }'
printf '%-10s release binary %s KiB\n' bpfquery $(($(stat -c %s "$bpfquery") / 1024))
