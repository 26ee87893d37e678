import { isObject } from '../cni/request.ts'
import { callsCalico, type Plugin, storesInKubernetes } from './calico.ts'
import { entriesOf, networkOf, pluginsOf } from './chain.ts'
import type { Configuration, Contents } from './documents.ts'
import { type Finding, type Say, sayer } from './finding.ts'
import type { Path } from './json.ts'
import { byName } from './names.ts'
import { type Asked, type Workload, workloadsIn } from './workloads.ts'

/** What a file holds, and what is said of it. */
interface File extends Pick<Contents, 'configurations' | 'others'> {
  readonly findings: Finding[]
}

/** A network among the files. */
interface Network {
  readonly name: string
  readonly plugins: readonly Plugin[]
  readonly entries: ReturnType<typeof entriesOf>
  readonly isDefinition: boolean
  readonly say: Say
}

/** What all networks together are, looked up once. */
interface Together {
  /** The network that somebody means. */
  readonly named: (asked: Asked) => Network | undefined
  /** A network of Calico's on Kubernetes that would attach after what was demoted for it. */
  readonly second: Network | undefined
  /** Calico's network of the cluster, which is no definition. */
  readonly cluster: Network | undefined
  /** A network of Calico's has its default route removed. */
  readonly removing: boolean
}

/**
 * Says what networks make of each other, and pods of them: that one pod has them together is known of pods and VMs among the
 * files, and supposed of networks that are made for it.
 */
export function checkTogether(files: readonly File[]): void {
  const networks = files.flatMap(({ configurations, findings }) =>
    configurations.map((configuration) => network(configuration, findings)),
  )
  const workloads = files.flatMap(({ others, findings }) =>
    others.flatMap(workloadsIn).map((workload) => ({ workload, say: sayer(workload.placed, findings) })),
  )
  const all = together(networks)
  for (const { workload, say } of workloads) checkWorkload(workload, all, say)
  const asked = workloads.flatMap(({ workload }) => workload.networks.flatMap(({ names }) => names))
  const wanted = byName(asked.map((name) => [name, 0]))
  for (const one of networks) {
    demotedBeforeCalico(one, all)
    if (!one.isDefinition || wanted.first(one.name) === undefined) gatewayByAnnotation(one, all)
  }
}

function together(networks: readonly Network[]): Together {
  const calicos = networks.filter(isCalico)
  const definitions = byName(networks.flatMap((one, i) => (one.isDefinition ? [[one.name, i] as const] : [])))
  // Where one of Calico's networks restores what was demoted, it is that one that is meant.
  const restoring = calicos.filter(({ entries }) => entries.some(({ conf }) => isAuto(conf.ovnGateway)))
  return {
    named: ({ names }) => {
      const found = names.map(definitions.first).filter((index) => index !== undefined)
      return networks[Math.min(...found)]
    },
    second: (restoring.length > 0 ? restoring : calicos).find(isOnKubernetes),
    cluster: calicos.find((one) => !one.isDefinition),
    removing: calicos.some(isRemoving),
  }
}

function network(configuration: Configuration, findings: Finding[]): Network {
  return {
    name: networkOf(configuration),
    plugins: pluginsOf(configuration.placed),
    entries: entriesOf(configuration),
    isDefinition: configuration.attachmentDefinition !== undefined,
    say: sayer(configuration.placed, findings, configuration.base),
  }
}

const isCalico = ({ plugins }: Network) => callsCalico(plugins)
const isOnKubernetes = ({ plugins }: Network) => storesInKubernetes(plugins)

const NO_ANSWER =
  "with Calico's Kubernetes datastore no answer comes back: " +
  "Felix gives the node routes to the addresses of the pod's first network only"

/** `demote` is for Calico to attach second, where Calico's own datastore decides whether that is any use. */
function demotedBeforeCalico(one: Network, { second }: Together): void {
  if (one.plugins[0]?.plugin.type === 'calico' || !second) return
  for (const { path, conf } of one.entries) {
    if (!isDemoting(conf.defaultRoute)) continue
    one.say(
      'warning',
      [...path, 'defaultRoute'],
      `demote lets Calico (${second.name}) attach after this, but ${NO_ANSWER}; make Calico's network the first`,
    )
  }
}

function isDemoting(written: unknown): boolean {
  return written === 'demote' || (isObject(written) && Object.values(written).includes('demote'))
}

function isAuto(written: unknown): boolean {
  return written === 'auto' || (isObject(written) && (written.ipv4 === 'auto' || written.ipv6 === 'auto'))
}

/** A network of Kube-OVN, or of its addresses, tells a gateway to those pods only that ask for it. */
interface ByAnnotation {
  readonly annotation: string
  /** Where what depends on it stands. */
  readonly path: Path
  /** Kube-OVN's own NIC, which it makes the default one by itself where it is the pod's first. */
  readonly own: boolean
}

/** @see https://github.com/kubeovn/kube-ovn/blob/master/pkg/daemon/handler.go handleAdd, isDefaultRoute */
function dependence(one: Network, { removing }: Together): ByAnnotation | undefined {
  const [first] = one.plugins
  if (!first) return undefined
  const { plugin, path } = first
  const ipam = isObject(plugin.ipam) && plugin.ipam.type === 'kube-ovn' ? plugin.ipam : undefined
  const own = plugin.type === 'kube-ovn'
  const { provider = 'ovn' } = own ? plugin : (ipam ?? {})
  if ((!own && !ipam) || typeof provider !== 'string') return undefined
  const annotation = `${provider}.kubernetes.io/default_route`
  const auto = one.entries.find(({ conf }) => isAuto(conf.ovnGateway))
  if (auto) return { annotation, path: [...auto.path, 'ovnGateway'], own }
  // Without x-calico-route, the NIC's default route is the pod's where Calico's was taken away.
  return one.entries.length === 0 && ipam && removing ? { annotation, path: [...path, 'ipam'], own } : undefined
}

function isRemoving({ entries }: Network): boolean {
  return entries.some(({ conf: { defaultRoute } }) => {
    const { ipv4 = 'remove', ipv6 = 'remove' } = isObject(defaultRoute) ? defaultRoute : {}
    return isObject(defaultRoute) ? [ipv4, ipv6].includes('remove') : (defaultRoute ?? 'remove') === 'remove'
  })
}

function gatewayByAnnotation(one: Network, all: Together): void {
  const depends = dependence(one, all)
  if (!depends) return
  const { annotation, path, own } = depends
  const others = own ? ', or whose first network this is' : ''
  const said = `Kube-OVN reports a gateway, and a default route comes of it, only for pods with the annotation ${annotation}: "true"${others}`
  one.say('note', path, said)
}

function checkWorkload(workload: Workload, all: Together, say: Say): void {
  for (const path of workload.unreadable)
    say('error', path, 'neither a list in JSON nor names with commas between them; Multus refuses the pod')
  const found = workload.networks.flatMap((asked) => {
    const network = all.named(asked)
    return network ? [{ asked, network }] : []
  })
  oneCalico(workload, found, all, say)
  calicoFirst(found, say)
  for (const { asked, network } of found) annotated(workload, asked, dependence(network, all), say)
}

type Found = readonly { readonly asked: Asked; readonly network: Network }[]

/**
 * The name of Calico's host veth is made of namespace and pod: a second ADD deletes the veth of that name, the first NIC's.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/k8s/k8s.go CmdAddK8s
 */
function oneCalico({ networks: asked }: Workload, found: Found, { cluster }: Together, say: Say): void {
  const [first, ...others] = found.filter(({ network }) => isCalico(network))
  if (!first) return
  for (const { asked, network } of others) {
    const said = `a pod has one Calico NIC: that of ${first.network.name} is deleted when Calico adds that of ${network.name}`
    say('error', asked.path, `${said}; leave one of them out`)
  }
  if (asked.some(({ first }) => first)) return
  say(
    cluster ? 'warning' : 'note',
    first.asked.path,
    `the pod's first network is the cluster's${cluster ? `, ${cluster.name}` : ': if that is Calico, too'}, and its NIC is deleted when Calico ` +
      `adds that of ${first.network.name}; make this the first (v1.multus-cni.io/default-network; of a VM "default: true")`,
  )
}

function calicoFirst(found: Found, say: Say): void {
  const first = found.find(({ asked }) => asked.first)
  if (!first || isCalico(first.network)) return
  for (const { asked, network } of found) {
    if (isCalico(network) && isOnKubernetes(network))
      say('warning', asked.path, `${NO_ANSWER}; make ${network.name} the first`)
  }
}

function annotated({ base, annotations }: Workload, asked: Asked, depends: ByAnnotation | undefined, say: Say): void {
  if (!depends) return
  const { annotation, own } = depends
  const value = annotations[annotation]
  if (value === 'true' || (value === undefined && own && asked.first)) return
  say(
    'warning',
    value === undefined ? asked.path : [...base, 'metadata', 'annotations', annotation],
    `Kube-OVN reports no gateway for this NIC, and no default route comes of it; add the annotation ${annotation}: "true"`,
  )
}
