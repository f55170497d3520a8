#!/usr/bin/env bash
# bench.sh [WORKLOAD...]
#
# Measures bpfquery beside C and bpftrace and writes docs/benchmarks.md. With the starts of names of testdata/bench: only
# those workloads, three rounds, printed and not written. BPFQUERY_ROUNDS says
# how often each form is measured.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root bench.sh
rounds=${BPFQUERY_ROUNDS:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure BIN SUBCOMMAND ARGUMENT...
measure() {
  local bin=$1 what=$2
  shift 2
  "$bin/bpfquery-bench" "$what" --workloads "$TARGET/workloads" --bench "$ROOT/testdata/bench" --scratch "$TARGET/bench" \
    --bpftool "$BPFTOOL_DIR/bpftool" "$@"
}

# What others have measured, as sections.
programs() {
  local said
  said=$("$ROOT/scripts/cargo.sh" test --locked --quiet -p bpfquery-testkit --test clang -- --nocapture 2>"$work/stderr") ||
    die "instructions: $said $(cat "$work/stderr")"
  cat <<EOF
The programs of \`testdata/cases/size\`, and the same with the same maps, NULLs and counters of losses in C, \`testdata/clang\`, from
\`clang -O2\`. As programs in C are written, it puts a new group in empty, looks it up, and asks which errno it is; bpfquery puts the
group in with its first event, and counts by the errno's bits. A test holds the ratio to 1 at most.

| query | bpfquery | clang | ratio |
|---|--:|--:|--:|
$(awk 'NF == 4 && $2 ~ /^[0-9]+$/ { printf "| %s | %s | %s | %s |\n", $1, $2, $3, $4 }' <<<"$said")
EOF
}

machine() {
  printf 'Linux %s, %s × %s, bpfquery %s, %s, %s.\n' "$(uname -r | cut -d- -f1)" "$(nproc)" \
    "$(sed -n 's/^model name.*: *//p;T;q' /proc/cpuinfo)" "$("$1" --version | cut -d' ' -f2)" "$(bpftrace --version)" \
    "$(clang --version | sed -n 's/.*\(clang version [0-9.]*\).*/\1/p')"
}

fast=$("$ROOT/scripts/build.sh")
if [ $# -gt 0 ]; then
  measure "$fast" events --bin "$fast/bpfquery" --rounds "${BPFQUERY_ROUNDS:-3}" "$@"
  exit
fi
bpfquery=$("$ROOT/scripts/release.sh")
programs >"$work/programs.md"
measure "$fast" page --bin "$bpfquery" --rounds "$rounds" --machine "$(machine "$bpfquery")" --part "$work/programs.md" \
  --figures "$ROOT/testdata/figures" >"$work/benchmarks.md"
cp "$work/benchmarks.md" "$ROOT/docs/benchmarks.md"
cat "$work/benchmarks.md"
