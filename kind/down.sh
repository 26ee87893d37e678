#!/usr/bin/env bash
# Removes what kind/up.sh made, but not docker's network "kind", which may serve other clusters.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=kind/lib.sh
. kind/lib.sh

need_tools docker kind
need_docker_daemon
kind delete cluster --name "$CLUSTER"
for name in "${UNDERLAY_HOSTS[@]}"; do
  docker rm --force "$name" >/dev/null 2>&1 || true
done
