#!/usr/bin/env bash
# demo.sh
#
# Builds bpfquery and runs one real query on the running kernel: the files that a program of the
# demo's own opens. What must hold: only that program is traced, and the query ends by itself.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root demo.sh
bpfquery=$("$ROOT/scripts/release.sh")
"$ROOT/scripts/workloads.sh" >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The load waits for its start, so its id is known before the query is.
coproc "$TARGET/workloads/opener" --wait /etc/hostname 5
load=$COPROC_PID
sql="select pid, comm, str(args.filename) as filename from tracepoint.syscalls.sys_enter_openat where pid = $load"
say "bpfquery run --for 3s -e \"$sql\""
"$bpfquery" run --for 3s -e "$sql" >"$work/rows" &
query=$!
sleep 1
kill -USR1 "$load"
wait "$query"
cat "$work/rows"
rows=$(grep -c /etc/hostname "$work/rows" || true)
[ "$rows" = 5 ] || die "the demo's program opened its file 5 times, the query printed $rows rows of it"
