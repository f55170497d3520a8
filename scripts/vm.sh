#!/usr/bin/env bash
# vm.sh [--results DIR] [--log FILE] [--timeout SECONDS] SERIES PAYLOAD_DIR COMMAND...
#
# Boots Debian's kernel of SERIES in an emulator and runs COMMAND there, with PAYLOAD_DIR at /payload
# (also the working directory and first in PATH) and the libraries that its programs need. The
# command's stdout and stderr are this script's, and so is its exit status; what it leaves in
# /results comes back to DIR (.cache/vm/results/SERIES; keep it small, a serial line carries it). A
# machine that does not finish ends with 124 (time) or 125 (anything else) and the kernel's last words.
# Two machines may run at once. Not checked: that the emulated clock keeps pace with the real one.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=guest.sh disable=SC2153
. "$ROOT/scripts/guest.sh"

results='' log='' seconds=120
while :; do
  case ${1:-} in
    --results) results=$2 ;;
    --log) log=$2 ;;
    --timeout) seconds=$2 ;;
    --*) die "no such option: $1" ;;
    *) break ;;
  esac
  shift 2
done
[ $# -ge 3 ] || die "usage: vm.sh [--results DIR] [--log FILE] [--timeout SECONDS] SERIES PAYLOAD_DIR COMMAND..."
series=$1 payload=$2
shift 2
kernel=$CACHE/kernels/$series
results=${results:-$VM/results/$series}
log=${log:-$VM/log/$series.log}
[ -e "$kernel/release" ] || "$ROOT/scripts/kernels.sh" "$series" >&2

mkdir -p "$VM" "$(dirname "$log")"
work=$(mktemp -d "$VM/run.XXXXXX")
trap 'rm -rf "$work"' EXIT

lock guest
base=$(base_archive)
modules=$(modules_archive "$series")
unlock
payload_archive "$work/payload.cpio" "$payload" "$@"
cat "$base" "$modules" "$work/payload.cpio" >"$work/initrd"
rm "$work/payload.cpio"

# The command's two streams pass through pipes of their own: files would be reopened, and so overwritten.
mkfifo "$work/out" "$work/err"
cat "$work/out" & out=$!
cat "$work/err" >&2 & err=$!

# One host thread runs both processors in turn: with a thread for each, this emulator now and then lets one
# run code that the other has just patched (a jump label), and the kernel dies of it.
status=0
timeout -k 5 "$seconds" qemu-system-x86_64 \
  -M pc -accel tcg,thread=single -cpu max -smp 2 -m 1024 -nodefaults -no-user-config -display none -no-reboot \
  -kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
  -append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off nokaslr tsc=reliable no_timer_check" \
  -serial "file:$log" -serial "file:$work/out" -serial "file:$work/results" -serial "file:$work/err" \
  </dev/null >&2 &
emulator=$!
# Waited for in the background, so that a signal to this script ends the machine at once.
trap 'kill "$emulator" 2>/dev/null; exit 143' TERM INT HUP
wait "$emulator" || status=$?

# If the emulator never opened a pipe its reader still waits for a writer: be one, for an instant.
: <>"$work/out" <>"$work/err"
wait "$out" "$err"

if [ "$status" != 0 ] || ! tar -tzf "$work/results" >/dev/null 2>&1; then
  [ "$status" = 124 ] || [ "$status" = 137 ] && status=124 || status=125
  say "error: kernel $series did not finish the command (status $status, limit $seconds s); the kernel's last words:"
  tail -n 30 "$log" >&2 || true
  exit "$status"
fi
rm -rf "$results" && mkdir -p "$results"
tar -C "$results" -xzf "$work/results"
status=$(cat "$results/.exit")
rm "$results/.exit"
exit "$status"
