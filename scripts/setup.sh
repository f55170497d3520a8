#!/usr/bin/env bash
# setup.sh run | test
#
# Makes a Debian 12 machine ready: `run` for building and the demo, `test` for everything. What must
# hold: a second run changes nothing and is over at once; what cannot be had is an error that says
# what to do. Kernels for the test machines are fetched by the tests that need them (kernels.sh).

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

RUN=(gcc libc6-dev make pkg-config libelf-dev zlib1g-dev ca-certificates)
# The oracles (clang, llvm, bpftrace, strace, bpftool's libraries; an llvm whose objdump knows all of BPF that 5.10 knows)
# and the test machines (the rest).
TEST=("${RUN[@]}" clang llvm llvm-19 libbpf-dev bpftrace strace libcap2 qemu-system-x86 busybox-static dash
  coreutils cpio kmod shellcheck xz-utils zstd iproute2 debian-archive-keyring)

# The packages that are not installed, one a line.
missing() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
  done
}

install_packages() {
  local absent
  mapfile -t absent < <(missing "$@")
  [ ${#absent[@]} -gt 0 ] || return 0
  say "installing: ${absent[*]}"
  retry apt-get -qq update >&2 || die "apt-get update fails: this machine's package sources cannot be read"
  DEBIAN_FRONTEND=noninteractive retry apt-get -qq install -y --no-install-recommends "${absent[@]}" >&2 ||
    die "apt-get cannot install: ${absent[*]}"
}

# mount_at TYPE DIR: tracing needs these, and small systems do not mount them by themselves.
mount_at() {
  [ -d "$2" ] || die "this kernel has no $1 ($2 is missing)"
  grep -qs " $2 $1 " /proc/mounts || mount -t "$1" "$1" "$2" || die "$1 cannot be mounted on $2"
}

[ "${1:-}" = run ] || [ "${1:-}" = test ] || die "usage: setup.sh run | test"
need_root "setup.sh"
command -v apt-get >/dev/null || die "setup.sh knows Debian only (no apt-get here); the packages it wants: ${TEST[*]}"
if [ "$1" = test ]; then install_packages "${TEST[@]}"; else install_packages "${RUN[@]}"; fi
# Newer Debian releases have rustup as a package; where there is none, cargo.sh says what is needed.
if ! command -v cargo rustup >/dev/null && apt-get -qq --simulate install rustup >/dev/null 2>&1; then install_packages rustup; fi
"$ROOT/scripts/cargo.sh" --version >&2
mount_at debugfs /sys/kernel/debug
mount_at tracefs /sys/kernel/tracing
mount_at bpf /sys/fs/bpf
[ "$1" = run ] || "$ROOT/scripts/bpftool.sh"
