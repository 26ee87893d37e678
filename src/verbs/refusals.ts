import { CniError, Code, quote, refusal } from '../errors.ts'
import type { Netns } from '../kernel/netns.ts'
import { batchProblem } from '../net/ifname.ts'
import { type Problem, problemText } from '../plan/problem.ts'

/**
 * A runtime that hands us our own namespace would have the node's routes changed.
 * @throws CniError 8
 * @see https://github.com/containernetworking/cni/blob/main/pkg/ns/ns_linux.go CheckNetNS
 */
export function refuseOwn(request: { readonly allowOwnNetns: boolean }, netns: Netns): void {
  if (!netns.own || request.allowOwnNetns) return
  throw new CniError(
    Code.ownNetns,
    `CNI_NETNS: the plugin's own network namespace, ${netns.path}; it must be the pod's`,
    'CNI_NETNS_OVERRIDE=1 allows it',
  )
}

/**
 * @throws CniError 4 for an interface name that is legal, but cannot be told to ip(8)
 */
export function refuseUnwritable(ifname: string): void {
  const problem = batchProblem(ifname)
  if (problem !== undefined)
    throw new CniError(Code.invalidEnvironment, `CNI_IFNAME: ${quote(ifname)} ${problem}; rename the interface`)
}

/**
 * What a plan found in the way.
 * @throws CniError 7
 */
export function refuseProblems(problems: readonly Problem[]): void {
  if (problems.length > 0) throw refusal(Code.invalidConfig, problems.map(problemText))
}
