import { isObject } from '../../cni/request.ts'
import type { Say } from './finding.ts'
import { type FoundNetwork, isCalico, isRemoving, type Network } from './networks.ts'
import { providerOf } from './provider.ts'
import type { Workload } from './workloads.ts'

/** What becomes of the IPv4 default route of a NIC when its chain has run. */
type Default = 'none' | 'plain' | 'demoted' | 'wanted'

/**
 * Reports a pod that several of its networks give an IPv4 default route. Kube-OVN replaces the one that is there; Calico
 * refuses to attach beside it.
 * @see https://github.com/projectcalico/calico/issues/5199
 */
export function checkDefaults(workload: Workload, found: readonly FoundNetwork[], say: Say): void {
  const all = found.map((one) => ({ ...one, left: defaultOf(workload, one) }))
  const plain = all.find(({ left }) => left === 'plain')
  const late = all.slice(plain ? all.indexOf(plain) + 1 : all.length).find(({ network }) => isCalico(network))
  if (plain && late) {
    const says = `Calico refuses to attach ("file exists") where ${plain.network.name} has left a default route`
    say(
      'XCR312',
      late.asked.path,
      `${says}; write "defaultRoute": "demote" in that network, or make Calico's the first`,
    )
    return
  }
  // "ovnGateway" sees to it that there is one, whichever NIC has it.
  if (all.some(({ left }) => left === 'wanted')) return
  // KubeVirt hands a demoted one to the VM, too.
  const isVm = all.some(({ asked }) => asked.nic?.bridge)
  const [first, second] = all.filter(({ left }) => left === 'plain' || (isVm && left === 'demoted'))
  if (!first || !second) return
  const names = `${first.network.name} and ${second.network.name}`
  const to = isVm ? 'the VM' : 'this pod'
  say(
    'XCR506',
    second.asked.path,
    `${names} both give ${to} an IPv4 default route; write "defaultRoute": "remove" in one of them`,
  )
}

/**
 * Whether a pod has lost Calico's default route, and none of its networks gives it another one.
 * @param cluster the cluster's own network, if that is Calico
 */
export function lacksDefault(
  workload: Workload,
  found: readonly FoundNetwork[],
  cluster: Network | undefined,
): boolean {
  const own = cluster && !workload.networks.some(({ first }) => first) ? [cluster] : []
  const calicos = [...own, ...found.map(({ network }) => network)].filter(isCalico)
  return calicos.some(isRemoving) && found.every((one) => defaultOf(workload, one) === 'none')
}

function defaultOf({ annotations }: Workload, { asked, network }: FoundNetwork): Default {
  if (network.entries.some(({ conf }) => 'ovnGateway' in conf)) return 'wanted'
  if (!makesDefault(network, asked.first, annotations)) return 'none'
  const [entry] = network.entries
  if (!entry) return 'plain'
  const { defaultRoute = 'remove' } = entry.conf
  const word = isObject(defaultRoute) ? (defaultRoute.ipv4 ?? 'remove') : defaultRoute
  if (word === 'keep') return 'plain'
  return word === 'demote' ? 'demoted' : 'none'
}

/** Whether the first plugin of a network makes a default route, as far as we know the plugin. */
function makesDefault(
  { plugins }: FoundNetwork['network'],
  first: boolean,
  annotations: Workload['annotations'],
): boolean {
  if (plugins[0]?.plugin.type === 'calico') return true
  const kubeOvn = providerOf(plugins)
  if (!kubeOvn) return false
  const asks = annotations[`${kubeOvn.provider}.kubernetes.io/default_route`]
  return asks === 'true' || (asks === undefined && kubeOvn.own && first)
}
