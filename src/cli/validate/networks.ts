import { isObject } from '../../cni/request.ts'
import { callsCalico, storesInKubernetes } from './calico.ts'
import type { Configuration, Entry } from './documents.ts'
import { type Finding, type Say, sayer } from './finding.ts'
import type { Path } from './json.ts'
import { byName } from './names.ts'
import { entriesOf, networkOf, type Plugin, pluginsOf } from './plugins.ts'
import { providerOf } from './provider.ts'
import { type Subnet, type Taken, takenFrom } from './subnets.ts'
import type { AskedNetwork } from './workloads.ts'

/** A network in the files. */
export interface Network {
  readonly name: string
  readonly plugins: readonly Plugin[]
  readonly entries: readonly Entry[]
  readonly isDefinition: boolean
  readonly say: Say
}

/** A network that a pod asks for, and that the files have. */
export interface FoundNetwork {
  readonly asked: AskedNetwork
  readonly network: Network
}

/** What is known of all networks together, looked up once. */
export interface Together {
  /** The network that a pod asks for, if the files have it. */
  readonly named: (asked: AskedNetwork) => Network | undefined
  /** A Calico network with the Kubernetes datastore that may attach second, after a demoted default route. */
  readonly second: Network | undefined
  /** The cluster's own network, if that is Calico. It has no NetworkAttachmentDefinition. */
  readonly cluster: Network | undefined
  /** Whether the files have a network of this namespace. */
  readonly hasNamespace: (namespace: string) => boolean
  /** The full names of all definitions. */
  readonly names: readonly string[]
  /** Whether one of these, or what makes one, may be meant by a name. */
  readonly isDefined: (name: string) => boolean
  /** The definition of the same name in another namespace. */
  readonly namesake: (name: string) => string | undefined
  /** The Subnets of Kube-OVN, by name and by provider. */
  readonly subnets: ReadonlyMap<string, Subnet>
  readonly byProvider: ReadonlyMap<string, readonly Subnet[]>
  readonly taken: Taken
  /** Some Calico network has its default route removed. */
  readonly removing: boolean
}

/**
 * @param names the names of all definitions in the files
 * @param made those of the networks that other objects have operators define
 */
export function together(
  networks: readonly Network[],
  subnets: readonly Subnet[],
  { names, made }: { readonly names: readonly string[]; readonly made: readonly string[] },
): Together {
  const calicos = networks.filter(isCalico)
  const definitions = byName(networks.flatMap((one, i) => (one.isDefinition ? [[one.name, i] as const] : [])))
  // If one of Calico's networks restores a demoted default route, it is the one meant to attach second.
  const restoring = calicos.filter(({ entries }) => entries.some(({ conf }) => isAuto(conf.ovnGateway)))
  const defined = byName([...names, ...made].map((name, index) => [name, index]))
  const namespaces = new Set(names.flatMap((name) => (name.includes('/') ? name.slice(0, name.indexOf('/')) : [])))
  return {
    named: ({ names }) => {
      const found = names.map(definitions.first).filter((index) => index !== undefined)
      return networks[Math.min(...found)]
    },
    second: (restoring.length > 0 ? restoring : calicos).find((one) => one.isDefinition && isOnKubernetes(one)),
    cluster: calicos.find((one) => !one.isDefinition),
    hasNamespace: (namespace) => namespaces.has(namespace),
    names,
    isDefined: (name) => defined.first(name) !== undefined,
    namesake: (name) => names[defined.first(name.slice(name.indexOf('/') + 1)) ?? names.length],
    subnets: new Map(subnets.map((one) => [one.name, one])),
    byProvider: Map.groupBy(subnets, ({ provider }) => provider),
    taken: takenFrom(subnets),
    removing: calicos.some(isRemoving),
  }
}

export function network(configuration: Configuration, findings: Finding[]): Network {
  return {
    name: networkOf(configuration),
    plugins: pluginsOf(configuration.placed),
    entries: entriesOf(configuration),
    isDefinition: configuration.attachmentDefinition !== undefined,
    say: sayer(configuration.placed, findings, configuration.base),
  }
}

export const isCalico = ({ plugins }: Network) => callsCalico(plugins)
export const isOnKubernetes = ({ plugins }: Network) => storesInKubernetes(plugins)

export function isAuto(written: unknown): boolean {
  return written === 'auto' || (isObject(written) && (written.ipv4 === 'auto' || written.ipv6 === 'auto'))
}

/** For a network of Kube-OVN, or with its IPAM, Kube-OVN reports a gateway only to pods that ask for one. */
export interface ByAnnotation {
  readonly annotation: string
  /** The path of what depends on the gateway. */
  readonly path: Path
  /** It is Kube-OVN's own NIC. As the first of a pod, it gets the default route without the annotation. */
  readonly own: boolean
}

/**
 * @param removing Calico's default route is removed, and no other takes its place
 * @see https://github.com/kubeovn/kube-ovn/blob/master/pkg/daemon/handler.go handleAdd, isDefaultRoute
 */
export function dependence(one: Network, removing: boolean): ByAnnotation | undefined {
  const kubeOvn = providerOf(one.plugins)
  if (!kubeOvn) return undefined
  const { provider, own } = kubeOvn
  const annotation = `${provider}.kubernetes.io/default_route`
  const auto = one.entries.find(({ conf }) => isAuto(conf.ovnGateway))
  if (auto) return { annotation, path: [...auto.path, 'ovnGateway'], own }
  // Without x-calico-route, this NIC has the pod's default route if Calico's was removed.
  const path = [...(one.plugins[0]?.path ?? []), 'ipam']
  return one.entries.length === 0 && !own && removing ? { annotation, path, own } : undefined
}

export function isRemoving(one: Network): boolean {
  return removes(one, 'ipv4') || removes(one, 'ipv6')
}

export function removes({ entries }: Network, family: 'ipv4' | 'ipv6'): boolean {
  return entries.some(({ conf: { defaultRoute } }) => {
    const written = isObject(defaultRoute) ? defaultRoute[family] : defaultRoute
    return (written ?? 'remove') === 'remove'
  })
}
