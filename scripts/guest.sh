# shellcheck shell=bash
# Sourced after lib.sh: makes the archives that a test machine starts from. What must hold: an
# archive is made again when anything that it holds has changed, and never half-written (a rename ends it).

VM=$CACHE/vm

# The programs of the base beside busybox: those whose behaviour or name in `comm` tests rely on.
BASE_PROGRAMS=(/bin/dash /bin/ip /sbin/tc /bin/dd /bin/sleep /bin/cat /bin/true "$BPFTOOL_DIR/bpftool")
# Modules that packet tests need; dependencies are added, and what a kernel has built in is left out.
MODULES=(veth dummy sch_ingress cls_bpf act_bpf)

# archive DIR FILE: one uncompressed archive, which the kernel unpacks without spending emulated time.
archive() {
  (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2.part"
  mv "$2.part" "$2"
}

# The shared libraries that programs need, each once; nothing for static programs, scripts and BPF objects.
libraries() {
  local file
  for file in "$@"; do
    { ldd "$file" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'
    if ldd "$file" 2>/dev/null | grep -q 'not found'; then die "$file: a shared library is missing"; fi
  done | LC_ALL=C sort -u
}

# add_libraries ROOT FILE...: copies what `libraries` lists to ROOT, under usr/ where Debian really has it.
add_libraries() {
  local root=$1 lib real
  shift
  libraries "$@" | while read -r lib; do
    real=$(realpath "$(dirname "$lib")")/$(basename "$lib")
    install -D "$lib" "$root$real"
  done
  # The loader is named as /lib64/…, which is a link to usr/lib64 whatever the host's layout.
  install -D /lib64/ld-linux-x86-64.so.2 "$root/usr/lib64/ld-linux-x86-64.so.2"
}

base_archive() {
  local key file
  # shellcheck disable=SC2153 # ROOT is lib.sh's
  key=$(stat -L -c '%n %s %Y' "${BASE_PROGRAMS[@]}" /bin/busybox "$ROOT/scripts/guest.sh" "$ROOT/scripts/guest/init" |
    sha256sum | cut -c1-16)
  file=$VM/base-$key.cpio
  [ -e "$file" ] || { rm -f "$VM"/base-*.cpio; make_base "$file"; }
  echo "$file"
}

make_base() {
  local root applet program
  root=$(mktemp -d "$VM/base.XXXXXX")
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{dev,proc,sys,tmp,run,root,etc,payload,results,vm,modules}
  for program in bin sbin lib lib64; do ln -s "usr/$program" "$root/$program"; done
  for applet in $(/bin/busybox --list); do ln -sf busybox "$root/usr/bin/$applet"; done
  # busybox's shell prefers its own applets to the programs on PATH, so the shell has to be another one.
  for program in /bin/busybox "${BASE_PROGRAMS[@]}"; do install_program "$program" "$root/usr/bin/$(basename "$program")"; done
  ln -sf dash "$root/usr/bin/sh"
  add_libraries "$root" "${BASE_PROGRAMS[@]}"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  install "$ROOT/scripts/guest/init" "$root/init"
  archive "$root" "$1"
  rm -rf "$root"
}

# A link to busybox may stand there: it must be replaced, not written through.
install_program() {
  rm -f "$2"
  install "$1" "$2"
}

modules_archive() {
  local series=$1 release file
  release=$(cat "$CACHE/kernels/$series/release")
  file=$VM/modules-$release.cpio
  [ "$file" -nt "$ROOT/scripts/guest.sh" ] || make_modules "$CACHE/kernels/$series/modules" "$release" "$file"
  echo "$file"
}

make_modules() {
  local from=$1 release=$2 root path name
  root=$(mktemp -d "$VM/modules.XXXXXX")
  mkdir -p "$root/tree/lib/modules" "$root/out/modules"
  ln -s "$from" "$root/tree/lib/modules/$release"
  depmod -b "$root/tree" "$release"
  # One line a module, in the order of loading; those that several need come once.
  for name in "${MODULES[@]}"; do
    modprobe -d "$root/tree" -S "$release" --show-depends "$name" || die "kernel $release has no module $name"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$root/list"
  while read -r path; do
    name=$(basename "$path" | sed 's/\.\(xz\|zst\)$//')
    case $path in
      *.xz) xz -dc "$path" ;;
      *.zst) zstd -dcq <"$path" ;;
      *) cat "$path" ;;
    esac >"$root/out/modules/$name"
    echo "$name"
  done <"$root/list" >"$root/out/modules/order"
  archive "$root/out" "$3"
  rm -rf "$root"
}

# payload_archive FILE DIR COMMAND...: the payload, the libraries that its programs need, the command.
payload_archive() {
  local file=$1 dir=$2 root programs
  shift 2
  root=$(mktemp -d "$VM/payload.XXXXXX")
  mkdir -p "$root/payload" "$root/vm"
  cp -rL "$dir/." "$root/payload/"
  mapfile -d '' programs < <(find "$root/payload" -type f -perm -u+x -print0)
  [ ${#programs[@]} -eq 0 ] || add_libraries "$root" "${programs[@]}"
  { printf 'exec '; quoted "$@"; } >"$root/vm/command"
  archive "$root" "$file"
  rm -rf "$root"
}

# The words as a line that any POSIX shell reads back unchanged (bash's own %q is for bash alone).
quoted() {
  local word
  for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
  echo
}
