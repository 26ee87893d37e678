#!/bin/sh
# x-calico-route __VERSION__: what a runtime calls. It takes one of __AT_ONCE__ slots and becomes the plugin itself, __EXECUTABLE__
# beside it. Otherwise many pods that start at once would start as many Node.js processes. All plugins of thick Multus share one
# cgroup, where these would run out of memory and be killed. A process that waits here takes half a megabyte, not twelve.
# If anything goes wrong with slots, the call goes on without one. No variables: they would be in the plugin's environment.

# Called by a bare name, as in `sh x-calico-route`, or through a link: the plugin is beside this file.
case $0 in */*) ;; *) exec "./$0" "$@" ;; esac
if [ -h "$0" ]; then
  [ ! -x /usr/bin/readlink ] || exec "$(/usr/bin/readlink -f "$0")" "$@"
  exec "$(/bin/readlink -f "$0")" "$@"
fi

set -- "${0%/*}/__EXECUTABLE__" "$@"
# A shell would run an empty file as a script that succeeds.
if [ ! -x "$1" ] || [ ! -s "$1" ]; then
  [ $# -eq 1 ] || { echo "x-calico-route: $1 is missing; install the plugin again" >&2 && exit 2; }
  printf '{"cniVersion":"1.0.0","code":103,"msg":"x-calico-route: %s is missing beside it on this node; install the plugin again"}\n' '__EXECUTABLE__'
  exit 1
fi

# The tool for people does not wait, nor do VERSION and STATUS, by which a runtime checks that the plugin is there.
[ $# -eq 1 ] || exec "$@"
case ${CNI_COMMAND-} in ADD | CHECK | DEL | GC) ;; *) exec "$1" ;; esac
# An open gate: no call waits. It exists because a shell that is reading a gate must not find an executable in its place.
[ $((__AT_ONCE__)) -gt 0 ] || exec "$1"

# Each call starts at a slot chosen by a hash of its process ID (Knuth, multiplicative hashing), because consecutive IDs differ
# in few bits. It waits there for a while, then at the next: a call that hangs may hold one slot. "$4": how often.
set -- "$1" '__SLOTS__' $((($$ * 2654435761 & 4294967295) / 65536 % __AT_ONCE__)) __ROUNDS__
# Whoever can open a slot can hold it, so only root may.
[ -e "$2" ] || (umask 077 && /bin/mkdir "$2") 2>&-
# 8: a call that waits here finds the plugin even if it is uninstalled meanwhile. `command`: a failure must not end this shell.
if [ -O "$2" ] && [ ! -h "$2" ] && [ -x /usr/bin/flock ] && { command exec 8<"$1"; } 2>&-; then
  while [ "$4" -gt 0 ]; do
    [ -e "$2/$3" ] || (umask 077 && : >>"$2/$3") 2>&-
    # 9: the lock belongs to the open file, and so to this process, whatever it becomes; it is released however that ends.
    # Node.js passes neither 8 nor 9 to its children. flock gets none of our streams: it would hold them open after a kill.
    # The wait differs between calls, or those that came together would go on together.
    if [ ! -O "$2/$3" ] || [ -h "$2/$3" ] || [ ! -f "$2/$3" ]; then break; fi
    { command exec 9>>"$2/$3"; } 2>&- || break
    /usr/bin/flock -w $((__WAIT_MIN__ + $$ % __WAIT_SPREAD__)) 9 <&- >&- 2>&- && break
    # 1: no slot became free in time. With any other status, flock does not work here.
    [ $? -eq 1 ] || break
    set -- "$1" "$2" $((($3 + 1) % __AT_ONCE__)) $(($4 - 1))
  done
fi
[ -x "$1" ] || exec /proc/self/fd/8
exec "$1" 8<&-
