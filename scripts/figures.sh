#!/usr/bin/env bash
# figures.sh host | SERIES... | all
#
# Writes testdata/figures/NAME.txt: what the programs of queries are on the running kernel (host), and on Debian's kernels
# in emulated machines, one after the other. The kernel suites fail where a program is another one than these lists say.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root figures.sh
[ $# -gt 0 ] || die "usage: figures.sh host | SERIES... | all"
[ "$1" != all ] || set -- host 5.10 6.1 6.12 6.18 7.2
bin=$("$ROOT/scripts/build.sh")
lists=$ROOT/testdata/figures
mkdir -p "$lists"
payload=$(mktemp -d "$CACHE/payload.XXXXXX")
trap 'rm -rf "$payload"' EXIT
strip -o "$payload/bpfquery-testkit" "$bin/bpfquery-testkit"
cp -r "$ROOT/testdata/cases" "$ROOT/testdata/bench" "$payload/"

for name in "$@"; do
  if [ "$name" = host ]; then
    "$bin/bpfquery-testkit" figures --cases "$ROOT/testdata/cases" >"$payload/list"
  else
    # A serial line ends its lines in its own way.
    "$ROOT/scripts/vm.sh" "$name" "$payload" bpfquery-testkit figures --cases cases | tr -d '\r' >"$payload/list"
  fi
  mv "$payload/list" "$lists/$name.txt"
  say "written: testdata/figures/$name.txt"
done
