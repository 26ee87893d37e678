import { isObject } from '../../cni/request.ts'
import { quote } from '../../errors.ts'
import type { Path } from './json.ts'
import { misplaced, misspelt, onHost } from './lost-annotations.ts'
import { MULTUS_NAMESPACE } from './multus-namespace.ts'
import {
  type AnnotationProblem,
  type CniArgs,
  type ReadAnnotation,
  readAnnotation,
  withNamespaces,
} from './network-annotation.ts'
import { type Inside, lookingInto } from './placed-json.ts'
import { below, type Placed } from './position.ts'
import { type VmNic, vmNics } from './vm-nics.ts'

/** A network that a pod asks for, and the path of the request. */
export interface AskedNetwork {
  /** `kube-system/calico-underlay`, for each namespace that may be meant; without namespace if it is unknown. */
  readonly names: readonly string[]
  readonly path: Path
  /** It is the pod's first network, instead of the cluster's. */
  readonly first: boolean
  /** The name of its NIC in the pod. */
  readonly ifname: string
  /** What a VM does with it. */
  readonly nic?: VmNic
  readonly cniArgs?: CniArgs
}

/** A pod, or the template of pods or VMs, that asks for networks. All paths start at the object that it is in, and go on inside JSON. */
export interface Workload {
  readonly placed: Placed
  readonly base: Path
  /** If the file says it. */
  readonly namespace?: string
  /** In the order of Multus: the first network first, if it is known. */
  readonly networks: readonly AskedNetwork[]
  readonly annotations: Readonly<Record<string, unknown>>
  /** What is wrong with the annotations themselves. */
  readonly problems: readonly (AnnotationProblem & { readonly path: Path })[]
}

/** @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/how-to-use.md */
const FIRST_NETWORK = 'v1.multus-cni.io/default-network'
const OTHER_NETWORKS = 'k8s.v1.cni.cncf.io/networks'

/** The NIC of the pod's first network. Multus calls the others net1, net2 and so on, unless the annotation names them. */
export const FIRST_IFNAME = 'eth0'

/** The keys that lead to the template of a pod in a Deployment, CronJob, VirtualMachine, VirtualMachinePool and so on. */
const HOLDERS = ['spec', 'template', 'jobTemplate', 'virtualMachineTemplate']

/**
 * Every pod that an object is or makes, if it asks for networks.
 * @param firsts where Multus looks for a first network without namespace
 */
export function workloadsIn(placed: Placed, firsts: readonly string[] = [MULTUS_NAMESPACE]): Workload[] {
  return search(placed, [], { firsts })
}

/** Where a network without namespace is. */
interface Namespaces {
  readonly own?: string
  readonly firsts: readonly string[]
}

function search(root: Placed, base: Path, outer: Namespaces): Workload[] {
  const { value } = below(root, base)
  if (!isObject(value)) return []
  const { metadata } = value
  const { namespace = outer.own } = isObject(metadata) ? metadata : {}
  const within = { firsts: outer.firsts, ...(typeof namespace === 'string' ? { own: namespace } : {}) }
  const here = workloadAt(root, base, value, within)
  return [
    ...(here.networks.length + here.problems.length > 0 ? [here] : []),
    ...HOLDERS.flatMap((key) => search(root, [...base, key], within)),
  ]
}

function workloadAt(
  placed: Placed,
  base: Path,
  { metadata, spec }: Record<string, unknown>,
  { own: namespace, firsts }: Namespaces,
): Workload {
  const written = isObject(metadata) ? metadata.annotations : undefined
  const annotations = isObject(written) ? written : {}
  const at = (key: string): Path => [...base, 'metadata', 'annotations', key]
  const lost = lostIn(spec)
  const problems: Workload['problems'][number][] = lost(annotations, [FIRST_NETWORK, OTHER_NETWORKS]).map((one) => ({
    ...one,
    path: at(one.key),
  }))
  if (lost !== misspelt) return { placed, base, annotations, problems, networks: [] }
  const insides: Inside[] = []
  const ofAnnotation = (key: string, first: boolean, namespaces: readonly string[]): AskedNetwork[] => {
    const read = readWritten(annotations[key], first, namespaces)
    const inside = (path: Path = []): Path => [...at(key), ...path]
    if (read.place) insides.push({ path: at(key), place: read.place })
    for (const problem of read.problems) problems.push({ ...problem, path: inside(problem.path) })
    const nic = first && isObject(spec) ? podNicOf(spec) : undefined
    return read.selections.map(({ names, path, ifname, cniArgs }, index) => ({
      names,
      path: inside(path),
      first,
      ifname: first ? FIRST_IFNAME : (ifname ?? `net${index + 1}`),
      ...(nic ? { nic } : {}),
      ...(cniArgs ? { cniArgs: { ...cniArgs, path: inside(cniArgs.path) } } : {}),
    }))
  }
  const own = namespace === undefined ? [] : [namespace]
  const networks = [
    ...ofAnnotation(FIRST_NETWORK, true, firsts),
    ...ofAnnotation(OTHER_NETWORKS, false, own),
    ...(isObject(spec) ? ofVm(spec, [...base, 'spec', 'networks'], own, firsts) : []),
  ]
  return {
    placed: lookingInto(placed, insides),
    base,
    ...(namespace === undefined ? {} : { namespace }),
    annotations,
    problems,
    networks: networks.toSorted((a, b) => Number(b.first) - Number(a.first)),
  }
}

function lostIn(spec: unknown): typeof misspelt {
  if (!isObject(spec)) return misspelt
  if (HOLDERS.some((key) => isObject(spec[key]))) return misplaced
  return spec.hostNetwork === true ? onHost : misspelt
}

function readWritten(written: unknown, first: boolean, namespaces: readonly string[]): ReadAnnotation {
  const text = written ?? ''
  if (typeof text !== 'string') return { selections: [], problems: [notText(text)] }
  const read = readAnnotation(text, namespaces)
  return first && read.selections.length > 1 ? { ...read, problems: [...read.problems, SEVERAL] } : read
}

const notText = (written: unknown): AnnotationProblem => ({
  code: 'XCR501',
  says: `must be a string, is ${quote(written)}, so the API server refuses the pod; write the list in quotes, or below "|"`,
})

const SEVERAL: AnnotationProblem = {
  code: 'XCR501',
  says: 'a pod can have only one first network, so Multus refuses it; name the others in k8s.v1.cni.cncf.io/networks',
}

/** @see https://kubevirt.io/api-reference MultusNetwork */
function ofVm(
  spec: Record<string, unknown>,
  path: Path,
  own: readonly string[],
  firsts: readonly string[],
): AskedNetwork[] {
  const { networks } = spec
  if (!Array.isArray(networks)) return []
  const nicOf = vmNics(spec)
  return networks.flatMap((network, index) => {
    const multus: unknown = isObject(network) ? network.multus : undefined
    if (!isObject(multus) || typeof multus.networkName !== 'string') return []
    const first = multus.default === true
    const names = withNamespaces(multus.networkName, first ? [...firsts, ...own] : own)
    const nic = nicOf(network.name, first)
    return { names, path: [...path, index, 'multus', 'networkName'], first, ifname: nic.ifname, nic }
  })
}

/** The NIC on the pod's first network, if a VM has one by `pod: {}`. */
function podNicOf(spec: Record<string, unknown>): VmNic | undefined {
  if (!Array.isArray(spec.networks)) return undefined
  const network: unknown = spec.networks.find((one) => isObject(one) && isObject(one.pod))
  return isObject(network) ? vmNics(spec)(network.name, true) : undefined
}
