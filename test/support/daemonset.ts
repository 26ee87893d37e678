/** conf-examples/daemonset, as far as tests look into it. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export interface Container {
  name: string
  image: string
  args: string[]
  securityContext: {
    allowPrivilegeEscalation: boolean
    readOnlyRootFilesystem: boolean
    capabilities: { drop: string[]; add: string[] }
  }
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean; mountPropagation?: string }[]
  readinessProbe?: { exec: { command: string[] } }
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
        securityContext: { seccompProfile: { type: string } }
        tolerations: object[]
        initContainers: Container[]
        containers: Container[]
        volumes: { name: string; hostPath: { path: string; type: string } }[]
      }
    }
  }
}

const text = (file: string) => readFileSync(new URL(`../../conf-examples/daemonset/${file}`, import.meta.url), 'utf8')

// The objects of Kubernetes have no schema here; each reader says what it takes one for.
export const manifest = <T>(file: string): T => parse(text(file))

export const pod = manifest<DaemonSet>('daemonset.yaml').spec.template.spec

/** @throws Error if the pod has no such container */
export function containerOf(name: string): Container {
  const found = [...pod.initContainers, ...pod.containers].find((container) => container.name === name)
  if (!found) throw new Error(`daemonset.yaml has no container ${name}`)
  return found
}

/** The directory of the node behind a mount of a container. */
export function hostPathOf(volume: string): string {
  const found = pod.volumes.find(({ name }) => name === volume)
  if (!found) throw new Error(`daemonset.yaml has no volume ${volume}`)
  return found.hostPath.path
}
