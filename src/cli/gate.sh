#!/bin/sh
# x-calico-route __VERSION__: what a runtime calls. It takes one of __AT_ONCE__ slots and becomes the plugin itself, __EXECUTABLE__
# beside it. Many pods that start at once would else start as many Node.js processes, and those that share one cgroup, as all
# plugins of thick Multus do, kill each other for want of memory. A process that waits here needs half a megabyte, not twelve.
# Whatever goes wrong with slots, the call goes on without one. No variables: they would reach the plugin's environment.

# Through a link to this file: the plugin is beside the file.
[ ! -h "$0" ] || exec "$(/usr/bin/readlink -f "$0")" "$@"

set -- "${0%/*}/__EXECUTABLE__" "$@"
if [ ! -x "$1" ]; then
  [ $# -eq 1 ] || { echo "x-calico-route: $1 is missing; install the plugin again" >&2 && exit 2; }
  printf '{"cniVersion":"1.0.0","code":103,"msg":"x-calico-route: %s is missing beside it on this node; install the plugin again"}\n' '__EXECUTABLE__'
  exit 1
fi

# A person's words do not wait, and neither do VERSION and STATUS, by which a runtime asks whether anybody is there.
[ $# -eq 1 ] || exec "$@"
case ${CNI_COMMAND-} in ADD | CHECK | DEL | GC) ;; *) exec "$1" ;; esac

# Each caller chooses a slot by its number, scattered (Knuth, multiplicative hashing): consecutive ones differ in few bits.
set -- "$1" '__SLOTS__' "__SLOTS__/$((($$ * 2654435761 & 4294967295) / 65536 % __AT_ONCE__))"
# A slot is held by whoever has it open, so nobody but root may open one.
[ -e "$2" ] || (umask 077 && /bin/mkdir "$2") 2>&-
if [ -O "$2" ] && [ ! -h "$2" ] && [ -x /usr/bin/flock ]; then
  [ -e "$3" ] || (umask 077 && : >>"$3") 2>&-
  # 8: who waits here finds the plugin also when it is uninstalled meanwhile. `command`: a failure must not end this shell.
  # 9: the lock is the open file's, and so this process's, whatever it becomes; it goes with it, however that ends. Node.js
  # closes both on the way to children of its own. flock gets none of our streams: it would hold them open after a kill.
  # Not all give up at the same time, or those who came together would go on together.
  [ -O "$3" ] && [ ! -h "$3" ] && [ -f "$3" ] && { command exec 8<"$1" 9>>"$3"; } 2>&- &&
    /usr/bin/flock -w $((__WAIT_MIN__ + $$ % __WAIT_SPREAD__)) 9 <&- >&- 2>&-
fi
[ -x "$1" ] || exec /proc/self/fd/8
exec "$1" 8<&-
