#!/usr/bin/env bash
# test-vm.sh SERIES... | all
#
# The cases and the live checks on Debian's kernels in emulated machines, two at a time. Each report is printed
# whole when its machine has ended. Fails if any kernel failed, could not be had, or passed nothing.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=report.sh
. "$ROOT/scripts/report.sh"

AT_ONCE=2
# Emulated machines are slow, and a clean clone shares two processors with whatever else runs.
LIMIT=${BPFQUERY_VM_TIMEOUT:-600}
# The live checks that say something there: an emulator has no speed to measure, and no oracles but bpftool.
LIVE=(object/bpftool object/run object/snapshots exact ends written)
# Runs both suites in the guest, the second whatever the first says.
# shellcheck disable=SC2016 # the guest's shell expands it
BOTH='status=0 name=$1; shift
  bpfquery-testkit kernel --cases cases --bin /payload/bpfquery --workloads workloads --skips "skips/$name.txt" \
    --figures "figures/$name.txt" --name "$name" || status=$?
  bpfquery-live --bin /payload/bpfquery --workloads workloads --snapshots snapshots --objects objects --calls 10000 "$@" || status=$?
  exit "$status"'

[ $# -gt 0 ] || die "usage: test-vm.sh SERIES... | all"
[ "$1" != all ] || set -- 5.10 6.1 6.12 6.18 7.2

# What goes to the guest: the stripped binaries, the cases, the pinned kernels, objects compiled here for each of them, the
# loads, and the lists of skips and of figures of every series, with the queries that they count.
make_payload() {
  local bin=$1 dir=$2 program snapshot
  rm -rf "$dir" && mkdir -p "$dir/cases" "$dir/workloads" "$dir/snapshots" "$dir/objects"
  for program in bpfquery bpfquery-testkit bpfquery-live; do strip -o "$dir/$program" "$bin/$program"; done
  cp "$ROOT"/testdata/snapshots/linux-*.snap "$dir/snapshots/"
  for snapshot in "$dir"/snapshots/*.snap; do
    "$bin/bpfquery" compile --target "$snapshot" -o "$dir/objects/$(basename "$snapshot" .snap).bpf.o" \
      -e 'select str(args.path -> dentry -> d_name.name) as filename from kprobe.vfs_open where pid = :pid'
  done
  cp -r "$ROOT/testdata/cases/." "$dir/cases/"
  cp -r "$ROOT/testdata/skips" "$ROOT/testdata/figures" "$ROOT/testdata/bench" "$dir/"
  find "$TARGET/workloads" -maxdepth 1 -type f -perm -u+x -exec cp -t "$dir/workloads" {} +
}

# Both suites of one kernel; the file REPORT.ok says afterwards that they passed.
suite() {
  local series=$1 report=$CACHE/report/$1.txt errors=$CACHE/report/$1.stderr began=$SECONDS status=0
  "$ROOT/scripts/vm.sh" --timeout "$LIMIT" "$series" "$payload" \
    sh -c "$BOTH" sh "$series" "${LIVE[@]}" >"$report" 2>"$errors" || status=$?
  # Two machines end at about the same time: their reports must not run into each other.
  lock report
  say "== kernel $series ($(cat "$CACHE/kernels/$series/release"))"
  cat "$report"
  cat "$errors" >&2
  judge "kernel $series" "$report" "$status" $((SECONDS - began)) 2 && touch "$report.ok"
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
