import { isObject } from '../../cni/request.ts'
import { byName } from './names.ts'

/** A network that a virtual machine uses with KubeVirt's bridge binding, which hands the pod's routes to the VM by DHCP. */
export interface BridgedNetwork {
  /** Absent if the file does not say. */
  readonly namespace?: string
  readonly name: string
}

/** The path from the `spec` of KubeVirt's kinds to the pod that they start. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  VirtualMachine: ['template'],
  VirtualMachineInstance: [],
  VirtualMachineInstanceReplicaSet: ['template'],
  VirtualMachinePool: ['virtualMachineTemplate', 'spec', 'template'],
}

/** Multus' annotation for the first network of a pod. @see https://github.com/k8snetworkplumbingwg/multus-cni docs/configuration.md */
const DEFAULT_NETWORK = 'v1.multus-cni.io/default-network'

/** The NetworkAttachmentDefinitions that a document of KubeVirt uses with the bridge binding; none for other kinds. */
export function bridgedNetworks(document: Readonly<Record<string, unknown>>): BridgedNetwork[] {
  const { kind, metadata } = document
  const steps = typeof kind === 'string' && Object.hasOwn(TEMPLATES, kind) ? TEMPLATES[kind] : undefined
  if (!steps) return []
  // The spec and metadata of the pod are next to each other, like those of the document.
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
  return names.flatMap((name) => (typeof name === 'string' ? parseNetwork(name, namespace) : []))
}

/** Returns a function that says whether a definition, `NAMESPACE/NAME`, may be one of the networks. kubectl may add a namespace. */
export function bridgedAmong(networks: readonly BridgedNetwork[]): (definition: string | undefined) => boolean {
  const known = byName(networks.map((network) => [fullName(network), 0]))
  return (definition) => definition !== undefined && known.first(fullName(parseNetwork(definition))) !== undefined
}

const fullName = ({ namespace, name }: BridgedNetwork) => (namespace === undefined ? name : `${namespace}/${name}`)

/** Reads `NAME`, `NAMESPACE/NAME` or `NAMESPACE/NAME@IFNAME`, of a definition or of a reference to one. */
function parseNetwork(written: string, namespace?: unknown): BridgedNetwork {
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
