import { isObject } from '../../cni/request.ts'
import type { Plugin } from './plugins.ts'

/** A network whose NIC, or whose addresses, come from Kube-OVN. */
export interface FromKubeOvn {
  readonly provider: string
  /** It is Kube-OVN's own NIC, and not another plugin's with its IPAM. */
  readonly own: boolean
}

export function providerOf([first]: readonly Plugin[]): FromKubeOvn | undefined {
  if (!first) return undefined
  const { type, ipam } = first.plugin
  const own = type === 'kube-ovn'
  const theirs = isObject(ipam) && ipam.type === 'kube-ovn' ? ipam : undefined
  const { provider = 'ovn' } = own ? first.plugin : (theirs ?? {})
  return (own || theirs) && typeof provider === 'string' ? { provider, own } : undefined
}
