import { isObject } from '../cni/request.ts'
import type { Path } from './json.ts'
import { below, type Placed } from './position.ts'

/** A network that a pod asks for, and where. */
export interface Asked {
  /** `kube-system/calico-underlay`, in each namespace that may be meant; without one where nobody says which. */
  readonly names: readonly string[]
  readonly path: Path
  /** It is the pod's first network, in the place of the cluster's. */
  readonly first: boolean
}

/** A pod, or the template of pods or VMs, that asks for networks. All paths are those of the object it stands in. */
export interface Workload {
  readonly placed: Placed
  readonly base: Path
  /** In Multus' order: the first network first, if it is told. */
  readonly networks: readonly Asked[]
  readonly annotations: Readonly<Record<string, unknown>>
  /** An annotation that Multus would refuse the pod for. */
  readonly unreadable: readonly Path[]
}

/** @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/how-to-use.md */
const FIRST = 'v1.multus-cni.io/default-network'
const MORE = 'k8s.v1.cni.cncf.io/networks'
/** Where Multus looks for a first network without namespace, unless it is told another place. */
const MULTUS_NAMESPACE = 'kube-system'

/** What holds the template of a pod, in Deployment, CronJob, VirtualMachine, VirtualMachinePool and their like. */
const HOLDERS = ['spec', 'template', 'jobTemplate', 'virtualMachineTemplate']

/** Every pod that an object is or makes, as far as it asks for networks. */
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
    const names = typeof text === 'string' ? selected(text, namespaces) : []
    if (names === undefined) unreadable.push(path)
    return (names ?? []).map((one) => ({ names: one, path, first }))
  }
  const own = namespace === undefined ? [] : [namespace]
  const networks = [
    ...ofAnnotation(FIRST, true, [MULTUS_NAMESPACE]),
    ...ofAnnotation(MORE, false, own),
    ...(isObject(spec) ? ofVm(spec.networks, [...base, 'spec', 'networks'], own) : []),
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
function ofVm(networks: unknown, path: Path, own: readonly string[]): Asked[] {
  if (!Array.isArray(networks)) return []
  return networks.flatMap((network, index) => {
    const multus: unknown = isObject(network) ? network.multus : undefined
    if (!isObject(multus) || typeof multus.networkName !== 'string') return []
    const first = multus.default === true
    const names = named(multus.networkName, first ? [MULTUS_NAMESPACE, ...own] : own)
    return { names, path: [...path, index, 'multus', 'networkName'], first }
  })
}

/**
 * The networks an annotation names: `namespace/name@interface, …`, or a list of objects in JSON. Undefined: neither.
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/pkg/k8sclient/k8sclient.go parsePodNetworkAnnotation
 */
function selected(text: string, namespaces: readonly string[]): string[][] | undefined {
  if (!/[[{"]/.test(text))
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
      .map((item) => named(item.split('@')[0] ?? '', namespaces))
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
    return [typeof namespace === 'string' && namespace !== '' ? [`${namespace}/${name}`] : named(name, namespaces)]
  })
}

function named(name: string, namespaces: readonly string[]): string[] {
  if (name.includes('/') || namespaces.length === 0) return [name.trim()]
  return namespaces.map((namespace) => `${namespace}/${name.trim()}`)
}
