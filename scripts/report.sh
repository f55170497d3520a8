# shellcheck shell=bash
# Sourced after lib.sh: what a run of the kernel suite has to say to count as passed.

# judge NAME REPORT STATUS SECONDS: prints one line; fails unless the suite ended well, its last line
# counts no failure, and something passed (a suite that ran nothing has shown nothing).
judge() {
  local last passed failed
  last=$(tail -n 1 "$2" | tr -d '\r')
  if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
    passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}
    if [ "$3" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]; then
      say "ok: $1: $last in $4 s"
      return 0
    fi
  fi
  say "FAILED: $1: ${last:-no output} (exit status $3) in $4 s; the report: $2"
  return 1
}
