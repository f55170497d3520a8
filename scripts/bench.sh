#!/usr/bin/env bash
# bench.sh [RUNS]
#
# Measures bpfquery beside bpftrace, and its programs beside clang's, prints the tables and writes them to
# docs/benchmarks.md. "Live" is when the command given with -c runs, which both start only after attaching; memory is
# the peak resident size until then. The runs of both take turns, at real-time priority, so that what the machine does
# meanwhile hits neither, or both; the medians count, and the best is told beside them. Traced is this script alone,
# which does nothing meanwhile.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root bench.sh
runs=${1:-11}
"$ROOT/scripts/cargo.sh" build --locked --release -p bpfquery >&2
"$ROOT/scripts/workloads.sh" >/dev/null
bpfquery=$TARGET/release/bpfquery start=$TARGET/workloads/start live=$TARGET/workloads/live
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# once NAME COMMAND...: adds a run's time to live in microseconds to NAME.time, its peak memory in KiB to NAME.memory.
once() {
  local name=$1 began lived memory
  shift
  chrt --fifo 1 "$start" "$work/began" "$@" >/dev/null 2>"$work/stderr" </dev/null || die "$name: $(cat "$work/stderr")"
  read -r began <"$work/began"
  read -r lived memory <"$work/lived"
  echo $(((lived - began) / 1000)) >>"$work/$name.time"
  echo "$memory" >>"$work/$name.memory"
}

best() { sort -n "$1" | head -n 1; }
median() { sort -n "$1" | sed -n "$(((runs + 1) / 2))p"; }
# divided A B DIGITS
divided() { awk -v a="$1" -v b="$2" -v digits="$3" 'BEGIN { printf "%.*f", digits, a / b }'; }

# row LABEL NAME: a line of the first table.
row() {
  local time memory
  time=$(median "$work/$2.time") memory=$(median "$work/$2.memory")
  printf '| %s | %s ms | %s ms | %s | %s MiB | %s |\n' "$1" \
    "$(divided "$time" 1000 1)" "$(divided "$(best "$work/$2.time")" 1000 1)" "$(divided "$time" "$(median "$work/bpftrace.time")" 2)" \
    "$(divided "$memory" 1024 1)" "$(divided "$memory" "$(median "$work/bpftrace.memory")" 2)"
}

instructions() {
  local said
  said=$("$ROOT/scripts/cargo.sh" test --locked --quiet -p bpfquery-testkit --test clang -- --nocapture 2>"$work/stderr") ||
    die "instructions: $said $(cat "$work/stderr")"
  awk 'NF == 4 && $2 ~ /^[0-9]+$/ { printf "| %s | %s | %s | %s |\n", $1, $2, $3, $4 }' <<<"$said"
}

report() {
  local size
  size=$(stat -c %s "$bpfquery")
  cat <<EOF
# Benchmarks

Written by \`make bench\`: run it to have your machine's.
Linux $(uname -r | cut -d- -f1), $(nproc) × $(sed -n 's/^model name.*: *//p;T;q' /proc/cpuinfo), bpfquery $("$bpfquery" --version | cut -d' ' -f2), $(bpftrace --version), $(clang --version | sed -n 's/.*\(clang version [0-9.]*\).*/\1/p').

## Start

From the start of the program until events are counted, and its peak memory until then: medians of $runs runs, in turns, at
real-time priority, and their ratios to bpftrace. The query is \`select comm, count(*) from RELATION where pid = N group by comm\`; bpftrace
has \`tracepoint:raw_syscalls:sys_enter /pid == N/ { @[comm] = count(); }\`. It should be live in less than 10 ms and take less than
15 MiB.

| count by comm | live after | at best | ratio | memory | ratio |
|---|--:|--:|--:|--:|--:|
$(row "bpfquery, \`rawtracepoint.sys_enter\`" raw)
$(row "bpfquery, \`tracepoint.raw_syscalls.sys_enter\`" perf)
$(row "bpftrace" bpftrace)

The release binary has $(divided "$size" 1000000 1) MB; it should have less than 12.

## Instructions

Eight-byte slots of the programs of \`testdata/cases/size\`, and of the same programs in C, \`testdata/clang\`, from
\`clang -O2\`. The C has the same maps, NULLs and counters of losses. Tests hold the ratio below 1.3.

| query | bpfquery | clang | ratio |
|---|--:|--:|--:|
$(instructions)
EOF
}

query="select comm, count(*) from RELATION where pid = $$ group by comm"
for _ in $(seq "$runs"); do
  once raw "$bpfquery" run -c "$live $work/lived" -e "${query/RELATION/rawtracepoint.sys_enter}"
  once perf "$bpfquery" run -c "$live $work/lived" -e "${query/RELATION/tracepoint.raw_syscalls.sys_enter}"
  once bpftrace bpftrace -c "$live $work/lived" -e "tracepoint:raw_syscalls:sys_enter /pid == $$/ { @[comm] = count(); }"
done
report >"$work/benchmarks.md"
cp "$work/benchmarks.md" "$ROOT/docs/benchmarks.md"
cat "$work/benchmarks.md"
