#!/usr/bin/env bash
# test-host.sh
#
# The cases and the live checks on the running kernel. Fails on a failure, and on a run that passed nothing.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=report.sh
. "$ROOT/scripts/report.sh"

need_root test-host.sh
bin=$("$ROOT/scripts/build.sh")
report=$CACHE/report/host.txt
mkdir -p "$CACHE/report"
began=$SECONDS status=0
"$bin/bpfquery-testkit" kernel --cases "$ROOT/testdata/cases" --bin "$bin/bpfquery" --workloads "$TARGET/workloads" \
  --skips "$ROOT/testdata/skips/host.txt" --figures "$ROOT/testdata/figures/host.txt" --name host </dev/null | tee "$report" || status=$?
"$bin/bpfquery-live" --bin "$bin/bpfquery" --workloads "$TARGET/workloads" --snapshots "$ROOT/testdata/snapshots" \
  --bpftool "$BPFTOOL_DIR/bpftool" </dev/null | tee -a "$report" || status=$?
judge "the running kernel ($(uname -r))" "$report" "$status" $((SECONDS - began)) 2
