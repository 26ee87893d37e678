# shellcheck shell=bash disable=SC2034 # what is set here is used there
# What up.sh, check.sh and down.sh share. Sourced, from the top of the repository.

# shellcheck source=kind/versions.env
. kind/versions.env

CLUSTER=x-calico-route
NETWORK=kind # kind's own name for it
UNDERLAY_HOSTS=(x-calico-route-underlay-21 x-calico-route-underlay-22)

# Never the current context, which may be a cluster that somebody needs.
k() { kubectl --context "kind-$CLUSTER" "$@"; }

say() { printf '== %s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
fail() {
  warn "kind: $1"
  shift
  (($# == 0)) || warn "$@"
  exit 1
}

need_tools() { # TOOL...
  local tool
  for tool; do
    command -v "$tool" >/dev/null && continue
    case $tool in
      docker) fail 'docker is missing; see https://docs.docker.com/engine/install/' ;;
      kind) fail "kind is missing; see https://kind.sigs.k8s.io/docs/user/quick-start/ ($KIND_VERSION is what this was written for)" ;;
      kubectl) fail 'kubectl is missing; see https://kubernetes.io/docs/tasks/tools/' ;;
      helm) fail 'helm is missing; see https://helm.sh/docs/intro/install/' ;;
      *) fail "$tool is missing" ;;
    esac
  done
}

need_docker_daemon() {
  local said
  said=$(docker info 2>&1 >/dev/null) ||
    fail 'docker is here, but its daemon does not answer; start it, or see that you may use it (group docker)' "$said"
}

has_cluster() { kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; }

# wait_for SECONDS WHAT NAMESPACE COMMAND...: until COMMAND succeeds. If it never does, shows what it said last.
# KIND_PATIENCE: how many times as long to wait, for slow machines and slow networks.
wait_for() {
  local seconds=$(($1 * ${KIND_PATIENCE:-1})) what=$2 namespace=$3 said
  shift 3
  say "waiting for $what"
  local deadline=$((SECONDS + seconds))
  until said=$("$@" 2>&1); do
    if ((SECONDS >= deadline)); then
      warn "kind: waited $seconds s for $what, in vain: $*" "$said"
      diagnose "$namespace"
      exit 1
    fi
    sleep 5
  done
}

# What somebody would look at next. Its own failure does not matter.
diagnose() { # NAMESPACE
  {
    printf '\n-- pods that are not ready\n'
    k get pods --all-namespaces --output wide | awk '{ split($3, n, "/"); if (NR == 1 || n[1] != n[2]) print }'
    printf '\n-- what happened in %s\n' "$1"
    k --namespace "$1" get events --sort-by=.lastTimestamp | tail -n 20
  } >&2 || true
}
