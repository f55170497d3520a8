#!/usr/bin/env bash
# kernels.sh [--refresh] SERIES... | all
#
# Fetches Debian's cloud kernels into .cache/kernels/SERIES/: `vmlinuz`, `config`, `modules/` (the
# whole tree as packaged) and, written last, `release` (the kernel's own version string). What must hold: the newest package that
# can still be downloaded is taken, nothing is installed, and a kernel that cannot be had is a
# failure. A kernel that is there already is kept without asking the mirror, unless --refresh.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=apt.sh
. "$ROOT/scripts/apt.sh"

ALL=(5.10 6.1 6.12 6.18 7.2)

# What the package's name is in each series; the first group is the kernel's own version string.
pattern() {
  case $1 in
    5.10) echo '^linux-image-(5\.10\.0-[0-9]+-cloud-amd64)(-unsigned)?$' ;;
    6.1) echo '^linux-image-(6\.1\.0-[0-9]+-cloud-amd64)(-unsigned)?$' ;;
    6.12) echo '^linux-image-(6\.12\.[0-9.]+\+deb12(\.[0-9]+)?-cloud-amd64)(-unsigned)?$' ;;
    6.18) echo '^linux-image-(6\.18\.[0-9.]+\+deb13(\.[0-9]+)?-cloud-amd64)(-unsigned)?$' ;;
    # From 7.x on the image is split: the kernel, its modules and its configuration are packages of their own.
    7.2) echo '^linux-binary-(7\.2\.[0-9.]+\+deb13(\.[0-9]+)?-cloud-amd64)(-unsigned)?$' ;;
    *) die "no such kernel series: $1 (known: ${ALL[*]})" ;;
  esac
}

# The packages of one candidate: the named one, and those that stand beside it where the series is split.
packages() {
  local name=$1
  echo "$name"
  case $name in
    linux-binary-*) echo "linux-modules-${name#linux-binary-}" "linux-base-${name#linux-binary-}" ;;
  esac
}

# Newest first; of two packages of one version the signed one first.
candidates() {
  private_apt apt-cache pkgnames linux- | grep -E "$(pattern "$1")" | sort -rV |
    awk '{ v = $0; sub(/-unsigned$/, "", v); if (v != $0) { late[v] = $0; if (!(v in at)) at[v] = ++n; name[at[v]] = v }
           else { if (!(v in at)) at[v] = ++n; name[at[v]] = v; early[v] = $0 } }
         END { for (i = 1; i <= n; i++) { if (name[i] in early) print early[name[i]]; if (name[i] in late) print late[name[i]] } }'
}

# Puts the two layouts (boot/ and usr/lib/modules/V/) into one, and says whether all is there.
arrange() {
  local raw=$1 dir=$2 release modules
  modules=$(find "$raw/lib/modules" "$raw/usr/lib/modules" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | head -1)
  [ -n "$modules" ] || return 1
  release=$(basename "$modules")
  rm -rf "$dir" && mkdir -p "$dir"
  cp "$(first "$raw/boot/vmlinuz-$release" "$modules/vmlinuz")" "$dir/vmlinuz" || return 1
  cp "$(first "$raw/boot/config-$release" "$modules/config")" "$dir/config" || return 1
  mv "$modules" "$dir/modules" || return 1
  rm -f "$dir/modules/build" "$dir/modules/source"
  echo "$release" >"$dir/release"
}

first() {
  local file
  for file in "$@"; do [ -e "$file" ] && { echo "$file"; return; }; done
  return 1
}

try_candidates() {
  local series=$1 dir=$2 name raw names
  for name in $(candidates "$series"); do
    say "kernel $series: $name"
    raw=$dir.raw
    rm -rf "$raw"
    mapfile -t names < <(packages "$name" | tr ' ' '\n')
    if apt_unpack "$raw" "${names[@]}" && arrange "$raw" "$dir"; then
      rm -rf "$raw"
      return 0
    fi
    say "kernel $series: $name cannot be had, trying the one before"
  done
  rm -rf "$dir.raw"
  return 1
}

fetch() {
  local series=$1 dir=$CACHE/kernels/$1
  pattern "$series" >/dev/null
  lock "kernel-$series"
  if [ -z "$REFRESH" ] && [ -e "$dir/release" ]; then unlock; return 0; fi
  mkdir -p "$CACHE/kernels"
  # An index may be older than the pool behind it, which drops packages: read it again before giving up.
  { with_index hourly && try_candidates "$series" "$dir"; } ||
    { with_index now && try_candidates "$series" "$dir"; } ||
    die "no kernel of series $series can be downloaded from this machine's Debian mirror"
  unlock
}

with_index() { (lock apt && apt_refresh "$@"); }

REFRESH=
[ "${1:-}" != --refresh ] || { REFRESH=1; shift; }
[ $# -gt 0 ] || die "usage: kernels.sh [--refresh] SERIES... | all (known: ${ALL[*]})"
[ "$1" != all ] || set -- "${ALL[@]}"
for series in "$@"; do
  fetch "$series"
  printf '%-5s %s\n' "$series" "$(cat "$CACHE/kernels/$series/release")"
done
