#!/usr/bin/env bash
# bpftool.sh
#
# Puts bpftool 7.5 or newer into .cache/bpftool (the distribution's 7.1 has no `autoattach`), unless it is there.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=apt.sh
. "$ROOT/scripts/apt.sh"

[ ! -x "$BPFTOOL_DIR/bpftool" ] || exit 0
lock apt
apt_refresh hourly
apt_unpack "$CACHE/bpftool" bpftool/bookworm-backports || die "bpftool cannot be downloaded from this machine's Debian mirror"
"$BPFTOOL_DIR/bpftool" version >/dev/null || die "bpftool does not run here: its libraries are missing (scripts/setup.sh installs them)"
