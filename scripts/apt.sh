# shellcheck shell=bash
# Sourced after lib.sh: a private apt under the cache. What must hold: nothing is installed on the
# machine, the mirror is the one that the machine's own apt names, and every index is verified by
# Debian's keyring (apt refuses what is not). Proxies and the like come from the machine's apt.conf.

APT=$CACHE/apt
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The address, on the machine's own mirror, of the archive that holds SUITE; it comes from apt's configuration alone,
# whatever its format, so that a machine that has never read an index will do.
mirror() {
  apt-get -o "Dir::State::lists=$APT/none" --print-uris update |
    sed -n "s,^'\(.*\)/dists/$1/InRelease' .*,\1,p" | head -n 1
}

apt_options() {
  printf -- '-o\n%s\n' \
    "Dir::Etc::sourcelist=$APT/sources.list" "Dir::Etc::sourceparts=/dev/null" \
    "Dir::Etc::preferencesparts=/dev/null" "Dir::Etc::trustedparts=/dev/null" \
    "Dir::State::lists=$APT/lists" "Dir::Cache=$APT/cache" \
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false" \
    "Acquire::Retries=3" "APT::Sandbox::User=root"
}

private_apt() {
  local tool=$1 options
  shift
  mapfile -t options < <(apt_options)
  "$tool" "${options[@]}" "$@"
}

# apt_refresh hourly|now: writes the sources and reads the indexes; "hourly" may find them read already.
apt_refresh() {
  [ "$1" = now ] || [ -z "$(find "$APT/updated" -mmin -60 2>/dev/null)" ] || return 0
  local main security
  main=$(mirror bookworm) security=$(mirror bookworm-security)
  [ -n "$main" ] || die "no Debian 12 (bookworm) source in this machine's apt; add one, then run scripts/setup.sh"
  # Machines without the security archive in their sources still find it beside the main one.
  security=${security:-${main%/debian}/debian-security}
  mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial"
  {
    printf 'deb [signed-by=%s] %s %s main\n' \
      "$KEYRING" "$main" bookworm-backports "$KEYRING" "$main" trixie-backports \
      "$KEYRING" "$security" bookworm-security "$KEYRING" "$security" bullseye-security
  } >"$APT/sources.list"
  retry private_apt apt-get -qq update -o APT::Update::Error-Mode=any >&2 ||
    die "the package indexes cannot be read from this machine's mirror"
  touch "$APT/updated"
}

# apt_unpack DIR PACKAGE[=VERSION]...: downloads and unpacks into DIR; the status tells whether all could be had.
apt_unpack() {
  local into=$1 work status=0 deb
  shift
  mkdir -p "$APT"
  work=$(mktemp -d "$APT/download.XXXXXX")
  (cd "$work" && private_apt apt-get -qq download "$@" >&2) || status=$?
  if [ "$status" = 0 ]; then
    mkdir -p "$into"
    for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$into" || status=$?; done
  fi
  rm -rf "$work"
  return "$status"
}
