#!/bin/sh
# Runs a command in network and mount namespaces of its own, as root or (where user namespaces are allowed) as anybody.
# /run is empty and writable there, so `ip netns add` works; every namespace and link that is left behind, also by a
# killed run, ends with the command and was never seen outside.
set -eu

as_root=
[ "$(id -u)" -eq 0 ] || as_root=--map-root-user

# shellcheck disable=SC2016 # "$@" is the inner shell's
exec unshare $as_root --net --mount sh -c 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"' sandbox "$@"
