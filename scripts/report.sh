# shellcheck shell=bash
# Sourced after lib.sh: what a run of the kernel suites has to say to count as passed.

# judge NAME REPORT STATUS SECONDS SUITES: prints one line; fails unless the run ended well and each of its suites
# has a line of sums that counts no failure and something passed (a suite that ran nothing has shown nothing).
judge() {
  local line suites=0 passed=0 failed=0 skipped=0 empty=0
  while read -r line; do
    [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] || continue
    suites=$((suites + 1)) passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + BASH_REMATCH[3]))
    [ "${BASH_REMATCH[1]}" -gt 0 ] || empty=$((empty + 1))
  done < <(tr -d '\r' <"$2")
  if [ "$3" = 0 ] && [ "$suites" = "$5" ] && [ "$failed" = 0 ] && [ "$empty" = 0 ]; then
    say "ok: $1: $passed passed, $failed failed, $skipped skipped in $4 s"
    return 0
  fi
  say "FAILED: $1: $passed passed, $failed failed, $skipped skipped in $suites suites of $5 (exit status $3) in $4 s; the report: $2"
  return 1
}
