#!/bin/sh
# host-without.sh TOOL PLUGIN DIRECTORY
#
# Runs PLUGIN on a host that has what the plugin needs, ip(8) and nsenter(1), except for TOOL: in a root file system
# mounted on DIRECTORY, which is gone when PLUGIN ends.
set -eu

tool=$1
plugin=$2
directory=$3

if [ "${4-}" != mounts-are-private ]; then
  exec unshare --mount sh "$0" "$@" mounts-are-private
fi

mount -t tmpfs none "$directory"
cd "$directory"
mkdir -p usr/bin tmp
ln -s usr/bin bin
for present in ip nsenter; do
  [ "$present" = "$tool" ] || cp "$(command -v "$present")" usr/bin/
done
for path in /lib /lib64 /usr/lib /usr/lib64 /etc /proc /dev /run "${plugin%/*}"; do
  if [ -L "$path" ]; then
    ln -s "$(readlink "$path")" ".$path"
  elif [ -d "$path" ]; then
    mkdir -p ".$path"
    mount --rbind "$path" ".$path"
  fi
done
exec chroot . "$plugin"
