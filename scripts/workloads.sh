#!/usr/bin/env bash
# workloads.sh
#
# Compiles testdata/workloads/*.c to TARGET/workloads, each newer than its source, and prints that
# directory. The programs are dynamic, because a static one never calls libc's symbols, which probes want; but for
# the one that says when it began, which should not wait for a linker.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

from=$ROOT/testdata/workloads into=$TARGET/workloads
mkdir -p "$into"
for source in "$from"/*.c; do
  program=$into/$(basename "$source" .c)
  if [ "$program" -nt "$source" ] && [ "$program" -nt "$from/load.h" ]; then continue; fi
  # Renamed into place, since the old program may be running.
  link=()
  if [ "${program##*/}" = live ]; then link=(-static); fi
  gcc -O2 -g1 -std=gnu17 -Wall -Wextra -Werror "${link[@]}" -o "$program.part" "$source"
  mv "$program.part" "$program"
done
echo "$into"
