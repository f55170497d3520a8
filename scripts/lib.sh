# shellcheck shell=bash
# Sourced by the other scripts. What must hold: every path is derived from the tree's root, from
# CARGO_TARGET_DIR or from BPFQUERY_CACHE, so that clones do not meet; what is said goes to stderr,
# because stdout is for results.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${BPFQUERY_CACHE:-$ROOT/.cache}
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
case $TARGET in /*) ;; *) TARGET=$ROOT/$TARGET ;; esac
# The profile of the binaries that run on kernels: one for all of them, so that nothing is built twice.
export PROFILE=${BPFQUERY_PROFILE:-fast}
# bpftool of the private package stands before the distribution's older one.
BPFTOOL_DIR=$CACHE/bpftool/usr/sbin
export PATH="$BPFTOOL_DIR:$PATH:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# run-with-retries COMMAND...: three tries, since a mirror may hiccup; the last status is handed on.
retry() {
  local try status=0
  for try in 1 2 3; do
    "$@" && return 0 || status=$?
    [ "$try" = 3 ] || { say "try $try failed: $*"; sleep $((try * 2)); }
  done
  return "$status"
}

need_root() {
  [ "$(id -u)" = 0 ] || die "$1 needs root"
}

# One holder at a time per NAME; the lock is the process's own and ends with it.
lock() {
  mkdir -p "$CACHE/lock"
  exec {LOCK_FD}>"$CACHE/lock/$1"
  flock "$LOCK_FD"
}

unlock() { exec {LOCK_FD}>&-; }
