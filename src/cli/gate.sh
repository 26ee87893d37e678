#!/bin/sh
# x-calico-route __VERSION__: what a runtime calls. It takes one of __AT_ONCE__ slots and becomes the plugin itself, __EXECUTABLE__
# beside it. Many pods that start at once would else start as many Node.js processes, and those that share one cgroup, as all
# plugins of thick Multus do, kill each other for want of memory. A process that waits here needs half a megabyte, not twelve.
# Whatever goes wrong with slots, the call goes on without one. No variables: they would reach the plugin's environment.

# By a bare name, as `sh x-calico-route` has it, and through a link to this file: the plugin is beside the file.
case $0 in */*) ;; *) exec "./$0" "$@" ;; esac
if [ -h "$0" ]; then
  [ ! -x /usr/bin/readlink ] || exec "$(/usr/bin/readlink -f "$0")" "$@"
  exec "$(/bin/readlink -f "$0")" "$@"
fi

set -- "${0%/*}/__EXECUTABLE__" "$@"
# Shells take an empty file for a script that succeeds.
if [ ! -x "$1" ] || [ ! -s "$1" ]; then
  [ $# -eq 1 ] || { echo "x-calico-route: $1 is missing; install the plugin again" >&2 && exit 2; }
  printf '{"cniVersion":"1.0.0","code":103,"msg":"x-calico-route: %s is missing beside it on this node; install the plugin again"}\n' '__EXECUTABLE__'
  exit 1
fi

# A person's words do not wait, and neither do VERSION and STATUS, by which a runtime asks whether anybody is there.
[ $# -eq 1 ] || exec "$@"
case ${CNI_COMMAND-} in ADD | CHECK | DEL | GC) ;; *) exec "$1" ;; esac
# A gate that stands open: nobody waits. A shell that had begun to read a gate must not find an executable in its place.
[ $((__AT_ONCE__)) -gt 0 ] || exec "$1"

# Each caller begins at a slot chosen by its number, scattered (Knuth, multiplicative hashing): consecutive ones differ in few
# bits. It waits there for a while, then at the next: one slot may be held by a call that hangs. "$4": how often.
set -- "$1" '__SLOTS__' $((($$ * 2654435761 & 4294967295) / 65536 % __AT_ONCE__)) __ROUNDS__
# A slot is held by whoever has it open, so nobody but root may open one.
[ -e "$2" ] || (umask 077 && /bin/mkdir "$2") 2>&-
# 8: who waits here finds the plugin also when it is uninstalled meanwhile. `command`: a failure must not end this shell.
if [ -O "$2" ] && [ ! -h "$2" ] && [ -x /usr/bin/flock ] && { command exec 8<"$1"; } 2>&-; then
  while [ "$4" -gt 0 ]; do
    [ -e "$2/$3" ] || (umask 077 && : >>"$2/$3") 2>&-
    # 9: the lock is the open file's, and so this process's, whatever it becomes; it goes with it, however that ends. Node.js
    # closes both on the way to children of its own. flock gets none of our streams: it would hold them open after a kill.
    # Not all give up at the same time, or those who came together would go on together.
    if [ ! -O "$2/$3" ] || [ -h "$2/$3" ] || [ ! -f "$2/$3" ]; then break; fi
    { command exec 9>>"$2/$3"; } 2>&- || break
    /usr/bin/flock -w $((__WAIT_MIN__ + $$ % __WAIT_SPREAD__)) 9 <&- >&- 2>&- && break
    # 1: nobody made room in time. Anything else is no flock that could be waited with.
    [ $? -eq 1 ] || break
    set -- "$1" "$2" $((($3 + 1) % __AT_ONCE__)) $(($4 - 1))
  done
fi
[ -x "$1" ] || exec /proc/self/fd/8
exec "$1" 8<&-
