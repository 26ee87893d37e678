#!/bin/sh
# host-without.sh TOOL PLUGIN DIRECTORY
#
# Runs PLUGIN on this host, if it had not TOOL: where that may be, PLUGIN finds links to everything else. They are in the
# empty DIRECTORY.
set -eu

tool=$1
plugin=$2
directory=$3

if [ "${4-}" != mounts-are-private ]; then
  exec unshare --mount sh "$0" "$@" mounts-are-private
fi

for path in /usr/sbin /usr/bin /sbin /bin; do
  [ ! -L "$path" ] || continue
  there=$directory/there$path links=$directory/links$path
  mkdir -p "$there" "$links"
  mount --bind "$path" "$there"
  ln -s "$there"/* "$links"
  rm -f "$links/$tool"
  mount --bind "$links" "$path"
done
exec "$plugin"
