import leven from 'leven'
import { listed } from '../../errors.ts'
import type { Say } from './finding.ts'
import type { FoundNetwork } from './networks.ts'
import { providerOf } from './provider.ts'
import type { Subnet } from './subnets.ts'
import { macText } from './vm-nics.ts'
import type { Workload } from './workloads.ts'

/** What Kube-OVN reads of a pod, after the name of a provider. */
const ANNOTATION =
  /^(.+)\.kubernetes\.io\/(logical_switch|ip_address|ip_pool|mac_address|default_route|ingress_rate|egress_rate|security_groups|port_security|routes)$/
const MAX_NAMES = 10

/**
 * Reports annotations for a provider that none of the pod's networks has, and a Subnet of another provider.
 * @param providers those of the pod's networks; undefined if some of these are not known
 */
export function checkAnnotations(
  { base, annotations }: Workload,
  providers: readonly string[] | undefined,
  subnets: ReadonlyMap<string, Subnet>,
  say: Say,
): void {
  for (const [key, value] of Object.entries(annotations)) {
    const [, provider, what] = ANNOTATION.exec(key) ?? []
    // "ovn" is the provider of the pod's first network, whichever that is.
    if (provider === undefined || provider === 'ovn') continue
    const path = [...base, 'metadata', 'annotations', key]
    const subnet = what === 'logical_switch' ? subnets.get(String(value)) : undefined
    const own = providers?.find((one) => isOf(one, provider))
    if (providers && own === undefined) {
      const hint = hintFor(provider, `${what}`, providers)
      say('XCR403', path, `no network of this pod has the provider ${provider}, ${hint}`, 'key')
    } else if (subnet && subnet.provider !== (own ?? provider))
      say(
        'XCR407',
        path,
        `Subnet ${subnet.name} has the provider ${subnet.provider}, not ${provider}; write one of this provider`,
      )
  }
}

/**
 * Kube-OVN's controller takes the provider from the name of the definition, and its plugin from the configuration, where it
 * is "ovn" if it is missing.
 */
function hintFor(provider: string, what: string, providers: readonly string[]): string {
  const near = providers.slice(0, MAX_NAMES).find((one) => leven(one, provider) <= 4)
  if (near !== undefined) return `so Kube-OVN ignores this; did you mean "${near}.kubernetes.io/${what}"?`
  if (providers.includes('ovn') && /^[^.]+\.[^.]+\.ovn$/.test(provider))
    return `and one of them names none; write "provider": "${provider}" in the configuration of that network`
  return `so Kube-OVN ignores this; those of this pod are ${listed(providers, MAX_NAMES).join(', ') || 'none'}`
}

/**
 * Whether annotations with `named` are for a network with `provider`. Where a pod has one network of Kube-OVN twice, the
 * interface follows: `vpc.tenant.ovn.net1`.
 * @see https://github.com/kubeovn/kube-ovn/blob/v1.16.1/pkg/controller/pod.go getPodAttachmentNet
 */
const isOf = (provider: string, named: string) =>
  named === provider || (provider.endsWith('.ovn') && named.startsWith(`${provider}.`))

/** Reports a MAC address that Kube-OVN's port security does not let out of the VM. */
export function checkMac({ base, annotations }: Workload, { asked, network }: FoundNetwork, say: Say): void {
  const { provider } = providerOf(network.plugins) ?? {}
  const { mac, bridge } = asked.nic ?? {}
  // Other bindings send packets with the address of the pod's NIC.
  if (provider === undefined || mac === undefined || !bridge) return
  const key = `${provider}.kubernetes.io/mac_address`
  const written = annotations[key]
  if (typeof written !== 'string' || macText(written) === mac) return
  const path = [...base, 'metadata', 'annotations', key]
  say('XCR609', path, `${written} is not the "macAddress" of the VM's interface, ${mac}; write the same in both`)
}

export const providersOf = (found: readonly FoundNetwork[]): string[] =>
  found.flatMap(({ network }) => providerOf(network.plugins)?.provider ?? [])
