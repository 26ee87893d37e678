import { CniError, Code, quote } from '../errors.ts'
import type { Netns } from '../netns.ts'

/**
 * A runtime that hands us our own namespace would have the node's routes changed.
 * @throws CniError 8
 * @see https://github.com/containernetworking/cni/blob/main/pkg/ns/ns_linux.go CheckNetNS
 */
export function refuseOwn(request: { readonly allowOwnNetns: boolean }, netns: Netns): void {
  if (!netns.own || request.allowOwnNetns) return
  throw new CniError(
    Code.ownNetns,
    `CNI_NETNS: ${netns.path} is the network namespace the plugin itself runs in; it must be the pod's`,
    'CNI_NETNS_OVERRIDE=1 allows it',
  )
}

/**
 * A batch of ip(8) has comments and quotes: a name with these characters, legal for the kernel, cannot be told in it.
 * @throws CniError 4
 */
export function refuseUnwritable(ifname: string): void {
  if (!/[#"'\\]/.test(ifname)) return
  throw new CniError(
    Code.invalidEnvironment,
    `CNI_IFNAME: ${quote(ifname)} has a quote, "#" or backslash, which ip -batch cannot take; rename the interface`,
  )
}

/**
 * What a plan found in the way.
 * @throws CniError 7
 */
export function refuseProblems([first, ...others]: readonly string[]): void {
  if (first !== undefined) throw new CniError(Code.invalidConfig, first, others.join('; '))
}
