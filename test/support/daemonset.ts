/** conf-examples/daemonset and what uninstall, monitoring and platforms beside it make of it, as far as tests look into them. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export interface Container {
  name: string
  image: string
  imagePullPolicy?: string
  args: string[]
  securityContext: {
    allowPrivilegeEscalation: boolean
    readOnlyRootFilesystem: boolean
    capabilities: { drop: string[]; add: string[] }
  }
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean; mountPropagation?: string }[]
  readinessProbe?: {
    exec?: { command: string[] }
    httpGet?: { path: string; port: number; host?: string }
  }
  env?: { name: string; valueFrom: { fieldRef: { fieldPath: string } } }[]
  ports?: { name: string; containerPort: number }[]
}

export interface DaemonSet {
  metadata: { name: string; namespace: string }
  spec: {
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        serviceAccountName: string
        automountServiceAccountToken: boolean
        hostNetwork: boolean
        shareProcessNamespace: boolean
        securityContext: { seccompProfile: { type: string }; seLinuxOptions?: { type: string } }
        terminationGracePeriodSeconds: number
        tolerations: object[]
        initContainers?: Container[]
        containers: Container[]
        volumes: {
          name: string
          hostPath?: { path: string; type: string }
          configMap?: { name: string; optional: boolean }
        }[]
      }
    }
  }
}

const text = (file: string) => readFileSync(new URL(`../../conf-examples/daemonset/${file}`, import.meta.url), 'utf8')

// Each reader says what it takes one for; whether they are valid, test/manifests/schemas.test.ts says.
export const manifest = <T>(file: string): T => parse(text(file))

const daemonSet = manifest<DaemonSet>('daemonset.yaml')

/** The pod that installs. */
export const pod = daemonSet.spec.template.spec

/** The pod that uninstalls. */
export const uninstaller = patched(daemonSet, manifest<Operation[]>('../uninstall/uninstall.yaml')).spec.template.spec

/** The DaemonSet whose metrics Prometheus scrapes. */
export const monitored = patched(daemonSet, manifest<Operation[]>('../monitoring/daemonset.yaml'))

/** The DaemonSet with a component of conf-examples/platforms. */
export function onPlatform(name: string): DaemonSet {
  const { components = [] } = manifest<{ components?: string[] }>(`../platforms/${name}/kustomization.yaml`)
  const first = components.reduce((made, other) => withPatch(made, other.replace('../', '')), daemonSet)
  return withPatch(first, name)
}

const withPatch = (made: DaemonSet, platform: string) =>
  patched(made, manifest<Operation[]>(`../platforms/${platform}/daemonset.yaml`))

/** @throws Error if neither pod has such a container */
export function containerOf(name: string): Container {
  const all = [pod, uninstaller].flatMap(({ initContainers = [], containers }) => [...initContainers, ...containers])
  const found = all.find((container) => container.name === name)
  if (!found) throw new Error(`no DaemonSet has a container ${name}`)
  return found
}

/** The directory of the node behind a mount of a container. */
export function hostPathOf(volume: string): string {
  const found = pod.volumes.find(({ name }) => name === volume)
  if (!found?.hostPath) throw new Error(`daemonset.yaml has no volume ${volume} of the node`)
  return found.hostPath.path
}

export interface Operation {
  op: 'add' | 'move' | 'remove' | 'replace' | 'test'
  path: string
  from?: string
  value?: unknown
}

/** What Kustomize makes of a document by a JSON Patch. @see https://www.rfc-editor.org/rfc/rfc6902 */
export function patched<T extends object>(document: T, operations: readonly Operation[]): T {
  const copy = structuredClone(document)
  const placeOf = (path: string) => {
    const keys = path.split('/').slice(1)
    const last = keys.pop() ?? ''
    const parent = keys.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], copy)
    return { parent: parent as Record<string, unknown>, last }
  }
  const remove = (path: string) => {
    const { parent, last } = placeOf(path)
    const value = parent[last]
    if (value === undefined) throw new Error(`nothing to patch at ${path}`)
    if (Array.isArray(parent)) parent.splice(Number(last), 1)
    else delete parent[last]
    return value
  }
  const add = (path: string, value: unknown) => {
    const { parent, last } = placeOf(path)
    if (Array.isArray(parent)) parent.splice(last === '-' ? parent.length : Number(last), 0, value)
    else parent[last] = value
  }
  for (const { op, path, from = path, value } of operations) {
    if (op === 'test') {
      const { parent, last } = placeOf(path)
      if (parent[last] !== value)
        throw new Error(`${path} is ${JSON.stringify(parent[last])}, not ${JSON.stringify(value)}`)
      continue
    }
    const removed = op === 'add' ? undefined : remove(from)
    if (op !== 'remove') add(path, op === 'move' ? removed : value)
  }
  return copy
}
