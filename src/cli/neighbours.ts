import { isObject } from '../cni/request.ts'
import { callsCalico, storesInKubernetes } from './calico.ts'
import type { Configuration, Contents } from './documents.ts'
import { type Finding, type Say, sayer } from './finding.ts'
import type { Path } from './json.ts'
import { checkMissingAddresses } from './missing-addresses.ts'
import { byName } from './names.ts'
import { entriesOf, networkOf, type Plugin, pluginsOf } from './plugins.ts'
import { checkVmNic } from './vm-nics.ts'
import { type AskedNetwork, type Workload, workloadsIn } from './workloads.ts'

/** What a file holds, and the findings about it. */
interface File extends Pick<Contents, 'configurations' | 'others'> {
  readonly findings: Finding[]
}

/** A network in the files. */
interface Network {
  readonly name: string
  readonly plugins: readonly Plugin[]
  readonly entries: ReturnType<typeof entriesOf>
  readonly isDefinition: boolean
  readonly say: Say
}

/** What is known of all networks together, looked up once. */
interface Together {
  /** The network that a pod asks for, if the files have it. */
  readonly named: (asked: AskedNetwork) => Network | undefined
  /** A Calico network with the Kubernetes datastore that may attach second, after a demoted default route. */
  readonly second: Network | undefined
  /** The cluster's own network, if that is Calico. It has no NetworkAttachmentDefinition. */
  readonly cluster: Network | undefined
  /** Some Calico network has its default route removed. */
  readonly removing: boolean
}

/**
 * Reports what goes wrong when a pod has several networks. Pods and VMs in the files say which networks they have together;
 * without them we assume it of networks that only make sense together.
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
  const asking = Map.groupBy(
    workloads.flatMap(({ workload }) =>
      workload.networks.map((one) => ({ network: all.named(one), annotations: workload.annotations })),
    ),
    ({ network }) => network,
  )
  for (const one of networks) {
    demotedBeforeCalico(one, all)
    const pods = asking.get(one) ?? []
    checkMissingAddresses(
      one,
      pods.map(({ annotations }) => annotations),
      one.say,
    )
    if (!one.isDefinition || wanted.first(one.name) === undefined) gatewayByAnnotation(one, all)
  }
}

function together(networks: readonly Network[]): Together {
  const calicos = networks.filter(isCalico)
  const definitions = byName(networks.flatMap((one, i) => (one.isDefinition ? [[one.name, i] as const] : [])))
  // If one of Calico's networks restores a demoted default route, it is the one meant to attach second.
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
  "with Calico's Kubernetes datastore no answer comes back, " +
  "because Felix gives the node routes only to the addresses of the pod's first network"

/** `demote` lets Calico attach second. Whether that is of any use depends on Calico's datastore. */
function demotedBeforeCalico(one: Network, { second }: Together): void {
  if (one.plugins[0]?.plugin.type === 'calico' || !second) return
  for (const { path, conf } of one.entries) {
    if (!isDemoting(conf.defaultRoute)) continue
    one.say(
      'XCR304',
      [...path, 'defaultRoute'],
      `demote lets Calico (${second.name}) attach after this, but ${NO_ANSWER}; make Calico's network the pod's first`,
    )
  }
}

function isDemoting(written: unknown): boolean {
  return written === 'demote' || (isObject(written) && Object.values(written).includes('demote'))
}

function isAuto(written: unknown): boolean {
  return written === 'auto' || (isObject(written) && (written.ipv4 === 'auto' || written.ipv6 === 'auto'))
}

/** For a network of Kube-OVN, or with its IPAM, Kube-OVN reports a gateway only to pods that ask for one. */
interface ByAnnotation {
  readonly annotation: string
  /** The path of what depends on the gateway. */
  readonly path: Path
  /** It is Kube-OVN's own NIC. As the first of a pod, it gets the default route without the annotation. */
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
  // Without x-calico-route, this NIC has the pod's default route if Calico's was removed.
  return one.entries.length === 0 && ipam && removing ? { annotation, path: [...path, 'ipam'], own } : undefined
}

function isRemoving(one: Network): boolean {
  return removes(one, 'ipv4') || removes(one, 'ipv6')
}

function removes({ entries }: Network, family: 'ipv4' | 'ipv6'): boolean {
  return entries.some(({ conf: { defaultRoute } }) => {
    const written = isObject(defaultRoute) ? defaultRoute[family] : defaultRoute
    return (written ?? 'remove') === 'remove'
  })
}

function gatewayByAnnotation(one: Network, all: Together): void {
  const depends = dependence(one, all)
  if (!depends) return
  const { annotation, path, own } = depends
  const others = own ? ' or with this as their first network' : ''
  const said = `Kube-OVN reports a gateway, which the default route needs, only for pods with the annotation ${annotation}: "true"${others}`
  one.say('XCR401', path, said)
}

function checkWorkload(workload: Workload, all: Together, say: Say): void {
  for (const path of workload.unreadable)
    say(
      'XCR501',
      path,
      'neither a JSON list nor names with commas between them, so Multus refuses the pod; write one of these',
    )
  const found = workload.networks.flatMap((asked) => {
    const network = all.named(asked)
    return network ? [{ asked, network }] : []
  })
  oneCalico(workload, found, all, say)
  calicoFirst(found, say)
  const ifnames = new Set(['eth0', ...workload.networks.flatMap(({ nic }) => nic?.ifname ?? [])])
  for (const { asked, network } of found) {
    annotated(workload, asked, dependence(network, all), say)
    const { nic, path } = asked
    const removing = removes(network, 'ipv4') && !network.entries.some(({ conf }) => 'ovnGateway' in conf)
    if (nic) checkVmNic({ nic, path }, { ...network, removing }, ifnames, say)
  }
}

type FoundNetworks = readonly { readonly asked: AskedNetwork; readonly network: Network }[]

/**
 * Calico names its host veth after the namespace and name of the pod: a second ADD deletes the veth of that name, and with
 * it the first NIC.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/k8s/k8s.go CmdAddK8s
 */
function oneCalico({ networks: asked }: Workload, found: FoundNetworks, { cluster }: Together, say: Say): void {
  const [first, ...others] = found.filter(({ network }) => isCalico(network))
  if (!first) return
  for (const { asked, network } of others) {
    const said = `a pod can have only one Calico NIC: when Calico adds that of ${network.name}, it deletes that of ${first.network.name}`
    say('XCR301', asked.path, `${said}; remove one of them`)
  }
  if (asked.some(({ first }) => first)) return
  const isCalicoToo = cluster
    ? `the pod's first network, ${cluster.name}, is Calico's too, and`
    : "if the pod's first network, the cluster's, is Calico's too,"
  say(
    cluster ? 'XCR302' : 'XCR303',
    first.asked.path,
    `${isCalicoToo} Calico deletes its NIC when it adds that of ${first.network.name}; make ${first.network.name} the pod's first network ` +
      '(v1.multus-cni.io/default-network; for a VM "default: true")',
  )
}

function calicoFirst(found: FoundNetworks, say: Say): void {
  const first = found.find(({ asked }) => asked.first)
  if (!first || isCalico(first.network)) return
  for (const { asked, network } of found) {
    if (isCalico(network) && isOnKubernetes(network))
      say('XCR305', asked.path, `${NO_ANSWER}; make ${network.name} the pod's first network`)
  }
}

function annotated(
  { base, annotations }: Workload,
  asked: AskedNetwork,
  depends: ByAnnotation | undefined,
  say: Say,
): void {
  if (!depends) return
  const { annotation, own } = depends
  const value = annotations[annotation]
  if (value === 'true' || (value === undefined && own && asked.first)) return
  say(
    'XCR402',
    value === undefined ? asked.path : [...base, 'metadata', 'annotations', annotation],
    `Kube-OVN reports no gateway for this NIC, so it gets no default route; add the annotation ${annotation}: "true"`,
  )
}
