import { CniError, Code, quote, refusal } from '../errors.ts'
import type { Netns } from '../kernel/netns.ts'
import { batchProblem } from '../net/ifname.ts'
import { type Problem, problemText } from '../plan/problem.ts'

/**
 * If the namespace is our own, the runtime made a mistake, and we would change the routes of the node.
 * @throws CniError 8
 * @see https://github.com/containernetworking/cni/blob/main/pkg/ns/ns_linux.go CheckNetNS
 */
export function refuseOwn(request: { readonly allowOwnNetns: boolean }, netns: Netns): void {
  if (!netns.own || request.allowOwnNetns) return
  throw new CniError(
    Code.ownNetns,
    `CNI_NETNS: ${netns.path} is the plugin's own network namespace, not the pod's`,
    'CNI_NETNS_OVERRIDE=1 allows it',
  )
}

/** @throws CniError 4 for an interface name that is legal but cannot be written in a batch of ip(8) */
export function refuseUnwritable(ifname: string): void {
  const problem = batchProblem(ifname)
  if (problem !== undefined)
    throw new CniError(Code.invalidEnvironment, `CNI_IFNAME: ${quote(ifname)} ${problem}; rename the interface`)
}

/** @throws CniError 7 if there are any problems */
export function refuseProblems(problems: readonly Problem[]): void {
  if (problems.length > 0) throw refusal(Code.invalidConfig, problems.map(problemText))
}
