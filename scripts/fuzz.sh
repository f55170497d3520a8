#!/usr/bin/env bash
# fuzz.sh [MINUTES]
#
# Fuzzes SQL text, snapshots and objects, guided by coverage, for so many minutes in all (30): one process at a time, at
# the lowest priority. The corpus stays in TARGET/fuzz/corpus, so that the next run goes on where this one ended. Ends
# with the number of executions, and fails if anything panicked; the input is in TARGET/fuzz/findings then.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

minutes=${1:-30}
state=$TARGET/fuzz
mkdir -p "$state/corpus" "$state/findings"
export CARGO_TARGET_DIR=$state/build
"$ROOT/scripts/cargo.sh" fuzz --version >/dev/null 2>&1 ||
  "$ROOT/scripts/cargo.sh" install --locked --version 0.13.2 cargo-fuzz >&2
# No sanitizer: the code is safe Rust, and sanitizers want another toolchain. Overflows and assertions are checked.
"$ROOT/scripts/cargo.sh" fuzz build --fuzz-dir "$ROOT/fuzz" --sanitizer none --debug-assertions >&2
programs=$state/build/x86_64-unknown-linux-gnu/release
"$programs/seeds" "$ROOT/testdata" "$state/corpus"

# run TARGET SECONDS: prints a line of the table.
run() {
  local log=$state/$1.log
  nice -n 19 "$programs/$1" -max_total_time="$2" -dict="$ROOT/fuzz/$1.dict" -artifact_prefix="$state/findings/$1-" \
    -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 "$state/corpus/$1" >"$log" 2>&1 || failed+=("$1")
  printf '%-9s %5d s  %10d executions  coverage %s\n' "$1" "$2" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)" \
    "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | sed -n '1p;$p' | paste -sd- | sed 's/-/ to /')"
}

failed=()
# SQL reaches the most code.
run sql $((minutes * 30))
run snapshot $((minutes * 15))
run object $((minutes * 15))
for target in "${failed[@]}"; do say "$target failed: $(grep -m 1 -A 1 panicked "$state/$target.log" | paste -sd' ')"; done
[ ${#failed[@]} = 0 ] || die "the inputs are in $state/findings; give one to the program in $programs to see it again"
