import { isObject } from '../cni/request.ts'
import type { Path } from './json.ts'
import { below, type Placed } from './position.ts'
import { type VmNic, vmNics } from './vm-nics.ts'

/** A network that a pod asks for, and the path of the request. */
export interface AskedNetwork {
  /** `kube-system/calico-underlay`, for each namespace that may be meant; without namespace if it is unknown. */
  readonly names: readonly string[]
  readonly path: Path
  /** It is the pod's first network, instead of the cluster's. */
  readonly first: boolean
  /** What a VM does with it. */
  readonly nic?: VmNic
}

/** A pod, or the template of pods or VMs, that asks for networks. All paths start at the object that it is in. */
export interface Workload {
  readonly placed: Placed
  readonly base: Path
  /** In the order of Multus: the first network first, if it is known. */
  readonly networks: readonly AskedNetwork[]
  readonly annotations: Readonly<Record<string, unknown>>
  /** Annotations for which Multus would refuse the pod. */
  readonly unreadable: readonly Path[]
}

/** @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/how-to-use.md */
const FIRST_NETWORK = 'v1.multus-cni.io/default-network'
const OTHER_NETWORKS = 'k8s.v1.cni.cncf.io/networks'
/** Where Multus looks by default for a first network without namespace. */
const MULTUS_NAMESPACE = 'kube-system'

/** The keys that lead to the template of a pod in a Deployment, CronJob, VirtualMachine, VirtualMachinePool and so on. */
const HOLDERS = ['spec', 'template', 'jobTemplate', 'virtualMachineTemplate']

/** Every pod that an object is or makes, if it asks for networks. */
export function workloadsIn(placed: Placed): Workload[] {
  return search(placed, [], undefined)
}

function search(root: Placed, base: Path, outer: string | undefined): Workload[] {
  const { value } = below(root, base)
  if (!isObject(value)) return []
  const { metadata } = value
  const { namespace = outer } = isObject(metadata) ? metadata : {}
  const within = typeof namespace === 'string' ? namespace : undefined
  const here = workloadAt(root, base, value, within)
  return [
    ...(here.networks.length + here.unreadable.length > 0 ? [here] : []),
    ...HOLDERS.flatMap((key) => search(root, [...base, key], within)),
  ]
}

function workloadAt(
  placed: Placed,
  base: Path,
  { metadata, spec }: Record<string, unknown>,
  namespace: string | undefined,
): Workload {
  const written = isObject(metadata) ? metadata.annotations : undefined
  const annotations = isObject(written) ? written : {}
  const unreadable: Path[] = []
  const ofAnnotation = (key: string, first: boolean, namespaces: readonly string[]) => {
    const text = annotations[key]
    const path = [...base, 'metadata', 'annotations', key]
    const names = typeof text === 'string' ? namesIn(text, namespaces) : []
    if (names === undefined) unreadable.push(path)
    const nic = first && isObject(spec) ? podNicOf(spec) : undefined
    return (names ?? []).map((one) => ({ names: one, path, first, ...(nic ? { nic } : {}) }))
  }
  const own = namespace === undefined ? [] : [namespace]
  const networks = [
    ...ofAnnotation(FIRST_NETWORK, true, [MULTUS_NAMESPACE]),
    ...ofAnnotation(OTHER_NETWORKS, false, own),
    ...(isObject(spec) ? ofVm(spec, [...base, 'spec', 'networks'], own) : []),
  ]
  return {
    placed,
    base,
    annotations,
    unreadable,
    networks: networks.toSorted((a, b) => Number(b.first) - Number(a.first)),
  }
}

/** @see https://kubevirt.io/api-reference MultusNetwork */
function ofVm(spec: Record<string, unknown>, path: Path, own: readonly string[]): AskedNetwork[] {
  const { networks } = spec
  if (!Array.isArray(networks)) return []
  const nicOf = vmNics(spec)
  return networks.flatMap((network, index) => {
    const multus: unknown = isObject(network) ? network.multus : undefined
    if (!isObject(multus) || typeof multus.networkName !== 'string') return []
    const first = multus.default === true
    const names = withNamespaces(multus.networkName, first ? [MULTUS_NAMESPACE, ...own] : own)
    const nic = nicOf(network.name, first)
    return { names, path: [...path, index, 'multus', 'networkName'], first, nic }
  })
}

/** The NIC on the pod's first network, if a VM has one by `pod: {}`. */
function podNicOf(spec: Record<string, unknown>): VmNic | undefined {
  if (!Array.isArray(spec.networks)) return undefined
  const network: unknown = spec.networks.find((one) => isObject(one) && isObject(one.pod))
  return isObject(network) ? vmNics(spec)(network.name, true) : undefined
}

/**
 * The networks that an annotation names: `namespace/name@interface, …`, or a JSON list of objects; undefined if it is neither.
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/pkg/k8sclient/k8sclient.go parsePodNetworkAnnotation
 */
function namesIn(text: string, namespaces: readonly string[]): string[][] | undefined {
  if (!/[[{"]/.test(text))
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
      .map((item) => withNamespaces(item.split('@')[0] ?? '', namespaces))
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(list)) return undefined
  return list.flatMap((one) => {
    if (!isObject(one) || typeof one.name !== 'string') return []
    const { name, namespace } = one
    return [
      typeof namespace === 'string' && namespace !== '' ? [`${namespace}/${name}`] : withNamespaces(name, namespaces),
    ]
  })
}

function withNamespaces(name: string, namespaces: readonly string[]): string[] {
  if (name.includes('/') || namespaces.length === 0) return [name.trim()]
  return namespaces.map((namespace) => `${namespace}/${name.trim()}`)
}
