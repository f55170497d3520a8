#!/usr/bin/env bash
# build.sh
#
# Builds what the kernel suites run (bpfquery, bpfquery-testkit, the load programs) and prints the
# directory of the two binaries.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/scripts/cargo.sh" build --locked --profile "$PROFILE" -p bpfquery -p bpfquery-testkit >&2
"$ROOT/scripts/workloads.sh" >/dev/null
# cargo calls the directory of its own dev profile `debug`.
echo "$TARGET/${PROFILE/#dev/debug}"
