import { isObject } from '../../cni/request.ts'
import { type Family, familyOf } from '../../net/address.ts'
import { gives } from './calico-ipam.ts'
import type { FindingCode } from './codes.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'
import { type FoundNetwork, isCalico, isRemoving, type Together } from './networks.ts'
import type { Plugin } from './plugins.ts'
import { providerOf } from './provider.ts'
import type { Workload } from './workloads.ts'

/** What becomes of a NIC's default route of one family when its chain has run. */
type Default = 'none' | 'plain' | 'demoted' | 'wanted'

type Subnets = Together['byProvider']

/**
 * Reports a pod that several of its networks give a default route. Kube-OVN replaces the one that is there; Calico
 * refuses to attach beside it. What is wrong for both families is said once, because one "defaultRoute" is for both.
 * @see https://github.com/projectcalico/calico/issues/5199
 */
export function checkDefaults(
  workload: Workload,
  found: readonly FoundNetwork[],
  { byProvider }: Together,
  say: Say,
): void {
  const problem = problemOf(4, workload, found, byProvider) ?? problemOf(6, workload, found, byProvider)
  if (problem) say(problem.code, problem.path, problem.says)
}

interface Problem {
  readonly code: FindingCode
  readonly path: Path
  readonly says: string
}

function problemOf(
  family: Family,
  workload: Workload,
  found: readonly FoundNetwork[],
  subnets: Subnets,
): Problem | undefined {
  const all = found.map((one) => ({ ...one, left: defaultOf(family, workload, one, subnets) }))
  const route = `an IPv${family} default route`
  const plain = all.find(({ left }) => left === 'plain')
  const late = all
    .slice(plain ? all.indexOf(plain) + 1 : all.length)
    .find(({ network }) => isCalico(network) && gives(network.plugins, workload.annotations, family))
  if (plain && late) {
    const says = `Calico refuses to attach ("file exists") where ${plain.network.name} has left ${route}`
    return {
      code: 'XCR312',
      path: late.asked.path,
      says: `${says}; write "defaultRoute": "demote" in that network, or make Calico's the first`,
    }
  }
  // "ovnGateway" sees to it that there is one, whichever NIC has it.
  if (all.some(({ left }) => left === 'wanted')) return undefined
  // KubeVirt hands a demoted one to the VM, too, but none of IPv6.
  const isVm = all.some(({ asked }) => asked.nic?.bridge)
  if (isVm && family === 6) return undefined
  const [first, second] = all.filter(({ left }) => left === 'plain' || (isVm && left === 'demoted'))
  if (!first || !second) return undefined
  const names = `${first.network.name} and ${second.network.name}`
  const to = isVm ? 'the VM' : 'this pod'
  return {
    code: 'XCR506',
    path: second.asked.path,
    says: `${names} both give ${to} ${route}; write "defaultRoute": "remove" in one of them`,
  }
}

/**
 * Whether a pod has lost Calico's IPv4 default route, and none of its networks gives it another one.
 */
export function lacksDefault(
  workload: Workload,
  found: readonly FoundNetwork[],
  { cluster, byProvider }: Together,
): boolean {
  const own = cluster && !workload.networks.some(({ first }) => first) ? [cluster] : []
  const calicos = [...own, ...found.map(({ network }) => network)].filter(isCalico)
  return calicos.some(isRemoving) && found.every((one) => defaultOf(4, workload, one, byProvider) === 'none')
}

function defaultOf(
  family: Family,
  { annotations }: Workload,
  { asked, network }: FoundNetwork,
  subnets: Subnets,
): Default {
  if (network.entries.some(({ conf }) => wants(conf.ovnGateway, family))) return 'wanted'
  if (!makesDefault(family, network.plugins, { annotations, first: asked.first, subnets })) return 'none'
  const [entry] = network.entries
  if (!entry) return 'plain'
  const { defaultRoute = 'remove' } = entry.conf
  const word = isObject(defaultRoute) ? (defaultRoute[KEYS[family]] ?? 'remove') : defaultRoute
  if (word === 'keep') return 'plain'
  return word === 'demote' ? 'demoted' : 'none'
}

const KEYS = { 4: 'ipv4', 6: 'ipv6' } as const

/** Whether "ovnGateway" is for this family. Without an address, it is for both. */
function wants(written: unknown, family: Family): boolean {
  if (isObject(written)) return KEYS[family] in written || !Object.values(KEYS).some((key) => key in written)
  return typeof written === 'string' && (written === 'auto' || familyOf(written) === family)
}

/** Whether the first plugin of a network surely makes a default route, as far as we know the plugin. */
function makesDefault(
  family: Family,
  plugins: readonly Plugin[],
  pod: { readonly annotations: Workload['annotations']; readonly first: boolean; readonly subnets: Subnets },
): boolean {
  const { annotations, first, subnets } = pod
  if (plugins[0]?.plugin.type === 'calico') return gives(plugins, annotations, family)
  const kubeOvn = providerOf(plugins)
  if (!kubeOvn) return false
  const asks = annotations[`${kubeOvn.provider}.kubernetes.io/default_route`]
  if (asks !== 'true' && !(asks === undefined && kubeOvn.own && first)) return false
  const own = subnets.get(kubeOvn.provider) ?? []
  // What nobody says of its Subnet is IPv4.
  if (own.length === 0) return family === 4
  return own.every(({ cidrs }) => cidrs.some((cidr) => familyOf(cidr) === family))
}
