/** The manifests of kind/ and conf-examples/, one document after the other. */
import { readdirSync, readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'

const ROOT = new URL('../../', import.meta.url)

/** A part of a manifest: what is in there is for the reader to say. */
export type Part = { [key: string]: unknown }

export interface Manifest {
  readonly file: string
  /** `apiVersion kind`, or what a file without these is. */
  readonly kind: string
  /** File, kind and name, for titles. */
  readonly title: string
  readonly body: Part
}

/** Files that are no objects of Kubernetes, kind or kustomize. */
const OTHERS: Record<string, string> = {
  'kind/kube-ovn-values.yaml': "values of Kube-OVN's chart",
  'conf-examples/cloud-init-v1.yaml': 'cloud-init',
  'conf-examples/cloud-init-v2.yaml': 'cloud-init',
  'conf-examples/uninstall/uninstall.yaml': 'JSON Patch',
  'conf-examples/monitoring/daemonset.yaml': 'JSON Patch',
  'conf-examples/platforms/gke/daemonset.yaml': 'JSON Patch',
  'conf-examples/platforms/k3s/daemonset.yaml': 'JSON Patch',
  'conf-examples/platforms/openshift/daemonset.yaml': 'JSON Patch',
  'conf-examples/platforms/selinux/daemonset.yaml': 'JSON Patch',
}

export const textOf = (file: string): string => readFileSync(new URL(file, ROOT), 'utf8')

export const FILES: readonly string[] = ['kind', 'conf-examples'].flatMap((directory) =>
  readdirSync(new URL(directory, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `${directory}/${name}`)
    .sort(),
)

export const MANIFESTS: readonly Manifest[] = FILES.flatMap((file) =>
  parseAllDocuments(textOf(file)).map((document) => {
    if (document.errors[0]) throw new Error(`${file}: ${document.errors[0].message}`)
    // what an alias stands for becomes a value of its own
    const body = JSON.parse(JSON.stringify(document))
    const kind = OTHERS[file] ?? `${body.apiVersion} ${body.kind}`
    const name = body.metadata?.name ?? ''
    return { file, kind, title: `${file}: ${kind} ${name}`.trim(), body }
  }),
)

/** Those that have a schema. */
export const OBJECTS: readonly Manifest[] = MANIFESTS.filter(({ kind }) => !['cloud-init', 'JSON Patch'].includes(kind))

/** kind/versions.env */
export const VERSIONS: ReadonlyMap<string, string> = new Map(
  [...textOf('kind/versions.env').matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]),
)
