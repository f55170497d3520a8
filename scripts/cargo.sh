#!/usr/bin/env bash
# cargo.sh ARGUMENT...
#
# Runs cargo, wherever this machine has it: on PATH, in the user's ~/.cargo, or behind a rustup whose toolchains
# belong to another HOME than the present one. A toolchain is downloaded only when there is none.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

works() { cargo --version >/dev/null 2>&1; }

# A rustup on PATH keeps its toolchains beside its own home, which is not $HOME under another user or in a sandbox.
borrow_toolchains() {
  local home
  home=$(dirname "$(dirname "$(dirname "$(readlink -f "$(command -v rustup)")")")")/.rustup
  [ -d "$home/toolchains" ] || return 1
  export RUSTUP_HOME=$home
  works
}

find_cargo() {
  export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
  works && return
  if command -v rustup >/dev/null; then
    (borrow_toolchains) && borrow_toolchains && return
    say "no Rust toolchain: asking rustup for one"
    retry rustup toolchain install stable --profile minimal -c clippy -c rustfmt --no-self-update >&2
    rustup default stable >&2
    works && return
  fi
  die "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml") or later" \
    "with clippy and rustfmt, by rustup or by your distribution's packages, and put it on PATH"
}

find_cargo
cd "$ROOT"
exec cargo "$@"
