#!/bin/sh
# Runs a command in network and mount namespaces of its own, as root or (where user namespaces are allowed) as anybody.
# /run is empty and writable there, so that `ip netns add` works. Namespaces and links that a run leaves behind, even if it
# was killed, end with the command, and are never visible outside.
set -eu

lacks() {
  printf 'sandbox: %s\n' "$@" >&2
  exit 1
}

for tool in unshare nsenter mount; do
  command -v "$tool" >/dev/null || lacks "$tool is missing; install util-linux"
done
ip -V 2>/dev/null | grep -q iproute2 || lacks "ip of iproute2 is missing; run: apt-get install iproute2"

as_root=
[ "$(id -u)" -eq 0 ] || as_root=--map-root-user
# shellcheck disable=SC2016 # "$@" is the inner shell's
start='mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'

# What each kernel has against namespaces for an ordinary user, and what allows them.
forbidden_by() {
  [ "$(cat /proc/sys/user/max_user_namespaces 2>/dev/null)" = 0 ] && echo user.max_user_namespaces=10000
  [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null)" = 0 ] && echo kernel.unprivileged_userns_clone=1
  [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ] &&
    echo kernel.apparmor_restrict_unprivileged_userns=0
  return 0
}

if ! said=$(unshare $as_root --net --mount sh -c "$start" sandbox true 2>&1); then
  if [ -z "$as_root" ]; then
    lacks "$said" 'root has no CAP_SYS_ADMIN here, as in a container; start the container with --privileged'
  fi
  allow=$(forbidden_by | paste -sd ' ' -)
  lacks "$said" "an ordinary user gets no namespaces here; run this as root${allow:+, or allow them: sysctl -w $allow}"
fi
exec unshare $as_root --net --mount sh -c "$start" sandbox "$@"
