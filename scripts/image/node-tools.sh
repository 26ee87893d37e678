#!/bin/sh
# node-tools.sh OUT [ROOT]: what `install --self-contained` lays beside the plugin, into the directory OUT: the tools of Debian that
# the plugin and its gate call, their libraries and those of Node.js, and the loader. ROOT is where Debian's files are, /
# by default, of any architecture: nothing of them is run. Prints what it took of there. Needs patchelf.
set -eu
out=$1 root=${2:-}
tools='ip nsenter prlimit flock mkdir readlink'
libraries_of_node='libdl.so.2 libstdc++.so.6 libm.so.6 libgcc_s.so.1 libpthread.so.0 libc.so.6'

# place NAME DIRECTORY...: the first that is there, or what it is a link to, below ROOT
place() {
  name=$1
  shift
  for directory; do
    file=$root$directory/$name
    while [ -L "$file" ]; do
      target=$(readlink "$file")
      case $target in /*) file=$root$target ;; *) file=${file%/*}/$target ;; esac
    done
    if [ -f "$file" ]; then
      echo "$file"
      return
    fi
  done
  echo "node-tools.sh: $name is not in ${root:-/}; install its package there" >&2
  exit 1
}
tool() { place "$1" /usr/sbin /usr/bin /sbin /bin; }
# take FILE NAME
take() {
  realpath --relative-to="${root:-/}" "$1"
  cp "$1" "$out/$2"
}

mkdir -p "$out"
for name in $tools; do
  file=$(tool "$name")
  take "$file" "$name"
done
dash=$(tool dash)
take "$dash" sh

interpreter=$(patchelf --print-interpreter "$out/ip")
loader=${interpreter##*/}
case $loader in
  ld-linux-x86-64.so.2) triplet=x86_64-linux-gnu ;;
  ld-linux-aarch64.so.1) triplet=aarch64-linux-gnu ;;
  *) echo "node-tools.sh: $loader: a loader of no architecture that the plugin is built for" >&2 && exit 1 ;;
esac
library() { place "$1" "/lib/$triplet" "/usr/lib/$triplet" /lib64 /lib; }

# Each library brings those that it needs.
wanted="$loader $libraries_of_node $(patchelf --print-needed "$out"/*)"
while [ -n "$wanted" ]; do
  next=
  for name in $wanted; do
    [ ! -e "$out/$name" ] || continue
    file=$(library "$name")
    take "$file" "$name"
    [ "$name" = "$loader" ] || next="$next $(patchelf --print-needed "$out/$name")"
  done
  wanted=$next
done

# The path of the loader gets room for another, of 256 bytes: until then it is the usual one, with many slashes before it.
room=$(printf '%0255d' 0 | sed 's#0#/#g')
path=${interpreter#/}
for name in $tools sh; do
  # RPATH, unlike RUNPATH, also holds for what the libraries need.
  patchelf --force-rpath --set-rpath "\$ORIGIN" --set-interpreter "${room%"$(printf "%0${#path}d" 0 | sed 's#0#/#g')"}$path" "$out/$name"
done
chmod 755 "$out"/*
