#!/usr/bin/env bash
# test-host.sh
#
# The kernel suite on the running kernel. Fails on a failed case, and on a run that passed nothing.

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
  --skips "$ROOT/testdata/skips/host.txt" --name host </dev/null | tee "$report" || status=$?
judge "the running kernel ($(uname -r))" "$report" "$status" $((SECONDS - began))
