#!/usr/bin/env bash
# test-vm.sh SERIES... | all
#
# The kernel suite on Debian's kernels in emulated machines, two at a time. Each report is printed
# whole when its machine has ended. Fails if any kernel failed, could not be had, or passed nothing.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=report.sh
. "$ROOT/scripts/report.sh"

AT_ONCE=2
# Emulated machines are slow, and a clean clone shares two processors with whatever else runs.
LIMIT=${BPFQUERY_VM_TIMEOUT:-600}

[ $# -gt 0 ] || die "usage: test-vm.sh SERIES... | all"
[ "$1" != all ] || set -- 5.10 6.1 6.12 6.18 7.2

# What goes to the guest: the stripped binaries, the cases, the loads, and the list of skips of every series.
make_payload() {
  local bin=$1 dir=$2
  rm -rf "$dir" && mkdir -p "$dir/cases" "$dir/workloads" "$dir/skips"
  strip -o "$dir/bpfquery" "$bin/bpfquery"
  strip -o "$dir/bpfquery-testkit" "$bin/bpfquery-testkit"
  cp -r "$ROOT/testdata/cases/." "$dir/cases/"
  cp -r "$ROOT/testdata/skips/." "$dir/skips/"
  find "$TARGET/workloads" -maxdepth 1 -type f -perm -u+x -exec cp -t "$dir/workloads" {} +
}

# One kernel's suite; the file REPORT.ok says afterwards that it passed.
suite() {
  local series=$1 report=$CACHE/report/$1.txt errors=$CACHE/report/$1.stderr began=$SECONDS status=0
  "$ROOT/scripts/vm.sh" --timeout "$LIMIT" "$series" "$payload" \
    bpfquery-testkit kernel --cases /payload/cases --bin /payload/bpfquery --workloads /payload/workloads \
    --skips "/payload/skips/$series.txt" --name "$series" >"$report" 2>"$errors" || status=$?
  # Two machines end at about the same time: their reports must not run into each other.
  lock report
  say "== kernel $series ($(cat "$CACHE/kernels/$series/release"))"
  cat "$report"
  cat "$errors" >&2
  judge "kernel $series" "$report" "$status" $((SECONDS - began)) && touch "$report.ok"
}

"$ROOT/scripts/kernels.sh" "$@" >&2
bin=$("$ROOT/scripts/build.sh")
mkdir -p "$CACHE/report"
payload=$(mktemp -d "$CACHE/payload.XXXXXX")
trap 'rm -rf "$payload"' EXIT
make_payload "$bin" "$payload"

for series in "$@"; do rm -f "$CACHE/report/$series.txt.ok"; done
for series in "$@"; do
  while [ "$(jobs -rp | wc -l)" -ge "$AT_ONCE" ]; do wait -n || true; done
  suite "$series" &
done
wait

status=0
for series in "$@"; do
  [ -e "$CACHE/report/$series.txt.ok" ] || { say "kernel $series did not pass"; status=1; }
done
exit "$status"
