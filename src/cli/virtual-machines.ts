import { isObject } from '../cni/request.ts'
import { byName } from './names.ts'

/** A network that a virtual machine has by KubeVirt's bridge binding: that one hands the pod's routes on, by DHCP. */
export interface BridgedNetwork {
  /** Absent: nobody says. */
  readonly namespace?: string
  readonly name: string
}

/** Where KubeVirt's kinds have the pod they start, from their `spec` on. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  VirtualMachine: ['template'],
  VirtualMachineInstance: [],
  VirtualMachineInstanceReplicaSet: ['template'],
  VirtualMachinePool: ['virtualMachineTemplate', 'spec', 'template'],
}

/** Multus' annotation for the first network of a pod. @see https://github.com/k8snetworkplumbingwg/multus-cni docs/configuration.md */
const DEFAULT_NETWORK = 'v1.multus-cni.io/default-network'

/** The NetworkAttachmentDefinitions that a document of KubeVirt refers to by the bridge binding; none, if it is of another kind. */
export function bridgedNetworks(document: Readonly<Record<string, unknown>>): BridgedNetwork[] {
  const { kind, metadata } = document
  const steps = typeof kind === 'string' && Object.hasOwn(TEMPLATES, kind) ? TEMPLATES[kind] : undefined
  if (!steps) return []
  // The pod's own spec and metadata stand beside each other, as those of the document do.
  const { spec, metadata: inner } = steps.length === 0 ? document : child(document.spec, steps)
  const namespace = child(metadata).namespace
  const networks = listOf(child(spec).networks)
  const interfaces = listOf(child(spec, ['domain', 'devices']).interfaces)
  const byBridge = new Set(interfaces.filter(({ bridge }) => isObject(bridge)).map(({ name }) => name))
  const bridged = networks.filter(({ name }) => byBridge.has(name))
  const names = [
    ...bridged.map(({ multus }) => child(multus).networkName),
    ...(bridged.some(({ pod }) => isObject(pod)) ? [child(child(inner).annotations)[DEFAULT_NETWORK]] : []),
  ]
  return names.flatMap((name) => (typeof name === 'string' ? networkOf(name, namespace) : []))
}

/** Says of a definition, `NAMESPACE/NAME`, whether it may be one of the networks: who applies a manifest may give the namespace. */
export function bridgedAmong(networks: readonly BridgedNetwork[]): (definition: string | undefined) => boolean {
  const known = byName(networks.map((network) => [nameOf(network), 0]))
  return (definition) => definition !== undefined && known.first(nameOf(networkOf(definition))) !== undefined
}

const nameOf = ({ namespace, name }: BridgedNetwork) => (namespace === undefined ? name : `${namespace}/${name}`)

/** `NAME`, `NAMESPACE/NAME` or `NAMESPACE/NAME@IFNAME`, of a definition or of who refers to it. */
function networkOf(written: string, namespace?: unknown): BridgedNetwork {
  const [, before, name = ''] = /^(?:([^/]*)\/)?([^@]*)/.exec(written) ?? []
  if (before !== undefined) return { namespace: before, name }
  return { name, ...(typeof namespace === 'string' ? { namespace } : {}) }
}

function child(value: unknown, steps: readonly string[] = []): Readonly<Record<string, unknown>> {
  let part = value
  for (const step of steps) part = isObject(part) ? part[step] : undefined
  return isObject(part) ? part : {}
}

function listOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}
