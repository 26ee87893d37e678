#!/bin/bash
# Calls CNI plugins and times them. A line of stdin says how: CALLS VERB NETNS INPUT COMMAND [ARGUMENT...]
#   CALLS calls at once, in NETNS0, NETNS1, ..., each with the content of the file INPUT on stdin.
# Answers with three lines: the wall time in µs until all had ended, with the number that failed; and the two lines of the
# builtin `times`, the CPU time of this shell and of everything it has waited for, grandchildren included.
#
# bash, because it forks in 0.4 ms where Node takes 3, and has a clock, CPU times and what a shell script needs built in.
set -u

# What a runtime gives a plugin: pipes. (Bash makes a pipe for `<<<` too, as long as a pipe can hold it.)
exec 3> >(exec cat >/dev/null)

call() {
  local file
  # Joins the cgroup: 0 is the process that writes it.
  for file in ${BENCH_CGROUPS-}; do echo 0 >"$file" || exit 125; done
  export CNI_COMMAND=$1 CNI_NETNS=$2
  shift 2
  exec "$@" 3>&-
}

while read -r calls verb netns input command; do
  content=$(<"$input")
  read -ra words <<<"$command"
  pids=()
  failed=0
  start=${EPOCHREALTIME/[.,]/}
  for ((i = 0; i < calls; i++)); do
    call "$verb" "$netns$i" "${words[@]}" <<<"$content" >&3 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || failed=$((failed + 1)); done
  echo "$((${EPOCHREALTIME/[.,]/} - start)) $failed"
  times
done
