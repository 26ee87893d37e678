/**
 * Makes test/schemas/generated/: schemas made of Go types, in the versions of kind/versions.env. Run it after a change there.
 *
 *   node scripts/schemas.ts
 *
 * Needs Go and its modules. The types are those that each project publishes. controller-gen, which most of them use for their
 * own definitions, makes schemas of them. test/schemas/README.md says which schemas are generated and which written by hand.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parse } from 'yaml'

const ROOT = path.dirname(import.meta.dirname)
/** Of every module here. */
const LICENCE = 'Apache-2.0'
const CONTROLLER_GEN = 'sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.0'

interface Source {
  readonly module: string
  /** The key in kind/versions.env whose value says the version; absent for what kind/up.sh does not install. */
  readonly pin?: string
  /** The version of the module. @param pin that value */
  readonly version: (pin: string) => string
  /** Kinds, by package of the module and apiVersion. */
  readonly packages: readonly {
    readonly path: string
    readonly apiVersion: string
    readonly kinds: readonly string[]
  }[]
}

const SOURCES: Record<string, Source> = {
  kubernetes: {
    pin: 'KIND_NODE_IMAGE',
    module: 'k8s.io/api',
    // kindest/node:v1.35.0@sha256:… is k8s.io/api v0.35.0
    version: (image) => image.replace(/^.*:v1\.([\d.]+)@.*$/, 'v0.$1'),
    packages: [
      { path: 'core/v1', apiVersion: 'v1', kinds: ['ConfigMap', 'Namespace', 'Pod', 'Secret', 'ServiceAccount'] },
      { path: 'apps/v1', apiVersion: 'apps/v1', kinds: ['DaemonSet'] },
      { path: 'rbac/v1', apiVersion: 'rbac.authorization.k8s.io/v1', kinds: ['Role', 'RoleBinding'] },
    ],
  },
  kind: {
    pin: 'KIND_VERSION',
    module: 'sigs.k8s.io/kind',
    version: (pin) => pin,
    packages: [{ path: 'pkg/apis/config/v1alpha4', apiVersion: 'kind.x-k8s.io/v1alpha4', kinds: ['Cluster'] }],
  },
  'kube-ovn': {
    pin: 'KUBE_OVN_VERSION',
    module: 'github.com/kubeovn/kube-ovn',
    version: (pin) => pin,
    packages: [
      { path: 'pkg/apis/kubeovn/v1', apiVersion: 'kubeovn.io/v1', kinds: ['Subnet', 'Vpc', 'VpcDns', 'VpcNatGateway'] },
    ],
  },
  kubevirt: {
    pin: 'KUBEVIRT_VERSION',
    module: 'kubevirt.io/api',
    version: (pin) => pin,
    packages: [{ path: 'core/v1', apiVersion: 'kubevirt.io/v1', kinds: ['KubeVirt', 'VirtualMachine'] }],
  },
  multus: {
    pin: 'MULTUS_VERSION',
    module: 'github.com/k8snetworkplumbingwg/network-attachment-definition-client',
    version: () => 'v1.7.6', // what go.mod of Multus asks for
    packages: [
      {
        path: 'pkg/apis/k8s.cni.cncf.io/v1',
        apiVersion: 'k8s.cni.cncf.io/v1',
        kinds: ['NetworkAttachmentDefinition'],
      },
    ],
  },
  'prometheus-operator': {
    module: 'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring',
    version: () => 'v0.95.2',
    packages: [{ path: 'v1', apiVersion: 'monitoring.coreos.com/v1', kinds: ['PodMonitor', 'PrometheusRule'] }],
  },
}

type Schema = { [keyword: string]: unknown }

const pins = new Map(
  [...readFileSync(path.join(ROOT, 'kind/versions.env'), 'utf8').matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [
    key,
    value,
  ]),
)
try {
  execFileSync('go', ['version'], { stdio: 'ignore' })
} catch {
  console.error('schemas: go is missing; install it from https://go.dev/doc/install')
  process.exit(1)
}
for (const [name, source] of Object.entries(SOURCES)) {
  const pin = source.pin === undefined ? '' : pins.get(source.pin)
  if (pin === undefined) throw new Error(`kind/versions.env: ${source.pin} is missing; add it`)
  const version = source.version(pin)
  console.log(`${name}: ${source.module} ${version}`)
  const packages = source.packages.map((each) => each.path)
  const from = { ...(source.pin && { [source.pin]: pin }), module: source.module, version, packages, licence: LICENCE }
  const file = path.join(ROOT, 'test/schemas/generated', `${name}.json`)
  writeFileSync(file, `${JSON.stringify({ from, ...shared(kindsOf(source, version)) })}\n`)
}

/** Each kind's schema, by `apiVersion kind`. */
function kindsOf(source: Source, version: string): Record<string, Schema> {
  const directory = mkdtempSync(path.join(tmpdir(), 'schemas-'))
  const go = (...args: string[]) =>
    execFileSync('go', args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    writeFileSync(path.join(directory, 'go.mod'), 'module schemas\n')
    for (const replacement of replacements(go, source.module, version)) go('mod', 'edit', replacement)
    writeFileSync(path.join(directory, 'kinds.go'), goSource(source))
    go('get', `${source.module}@${version}`)
    go('mod', 'tidy')
    // "Dangerous" types are floating-point numbers.
    go(
      'run',
      CONTROLLER_GEN,
      'crd:maxDescLen=0,generateEmbeddedObjectMeta=true,allowDangerousTypes=true',
      'paths=.',
      'output:dir=.',
    )
    const definition = parse(readFileSync(path.join(directory, 'schemas_kinds.yaml'), 'utf8'), { maxAliasCount: -1 })
    const { properties } = definition.spec.versions[0].schema.openAPIV3Schema
    return Object.fromEntries(
      source.packages.flatMap(({ apiVersion, kinds }) =>
        kinds.map((kind) => [`${apiVersion} ${kind}`, whole(properties[kind], apiVersion, kind)]),
      ),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/**
 * Go ignores the `replace` lines of a dependency, but Kube-OVN's go.mod needs one: the version of k8s.io/kube-openapi that it
 * names does not exist otherwise. Its types do not import the other modules that it replaces with forks.
 */
function replacements(go: (...args: string[]) => string, module: string, version: string): string[] {
  const { GoMod: file } = JSON.parse(go('list', '-m', '-json', `${module}@${version}`))
  const { Replace: replace } = JSON.parse(go('mod', 'edit', '-json', file))
  return ((replace ?? []) as { Old: { Path: string }; New: { Path: string; Version?: string } }[])
    .filter((each) => each.New.Version !== undefined && each.New.Path === each.Old.Path)
    .map((each) => `-replace=${each.Old.Path}=${each.New.Path}@${each.New.Version}`)
}

/** A made-up kind with a field for each of ours: controller-gen follows fields into other packages and writes one definition. */
function goSource({ module, packages }: Source): string {
  const imports = packages.map(({ path: name }, index) => `\tp${index} "${module}/${name}"`)
  const fields = packages.flatMap(({ kinds }, index) =>
    kinds.map((kind) => `\t${kind} p${index}.${kind} \`json:"${kind}"\``),
  )
  return `// +groupName=schemas
// +versionName=v1
package schemas

import (
${imports.join('\n')}
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type Kinds struct {
	metav1.TypeMeta   \`json:",inline"\`
	metav1.ObjectMeta \`json:"metadata"\`
${fields.join('\n')}
}
`
}

function whole(schema: Schema, apiVersion: string, kind: string): Schema {
  const { status: _, ...properties } = schema.properties as Schema
  const { required = [], ...rest } = schema as { required?: string[] }
  return strict({
    ...rest,
    properties: { ...properties, apiVersion: { const: apiVersion }, kind: { const: kind } },
    required: ['apiVersion', 'kind', ...required.filter((key) => key !== 'status')],
  }) as Schema
}

/** The parts of a structural schema that JSON Schema has. Unknown fields are errors, as with kubectl --validate=strict. */
function strict(schema: Schema): Schema {
  if (schema['x-kubernetes-int-or-string'] === true) {
    const { pattern } = schema
    return { anyOf: [{ type: 'integer' }, { type: 'string', ...(pattern === undefined ? {} : { pattern }) }] }
  }
  const { properties, items, additionalProperties, ...rest } = schema
  const kept = Object.fromEntries(
    Object.entries(rest).filter(([key]) => !key.startsWith('x-') && !['default', 'format', 'nullable'].includes(key)),
  )
  if (typeof kept.pattern === 'string') kept.pattern = ofJavaScript(kept.pattern)
  if (items) kept.items = strict(items as Schema)
  if (typeof additionalProperties === 'object') kept.additionalProperties = strict(additionalProperties as Schema)
  // KubeVirt allows unknown fields in the metadata of a template, where a misspelt "annotations" would go unnoticed.
  else if (properties || (schema.type === 'object' && schema['x-kubernetes-preserve-unknown-fields'] !== true)) {
    const named = Object.entries((properties ?? {}) as Record<string, Schema>)
    kept.properties = Object.fromEntries(named.map(([key, value]) => [key, strict(value)]))
    kept.additionalProperties = false
  }
  return kept
}

/** Go's regular expressions turn a flag on for all that follows; those of JavaScript only for a group. */
function ofJavaScript(pattern: string): string {
  return pattern.replace(/\(\?i\)(.*)$/, '(?i:$1)')
}

/** Moves what is repeated (affinities, probes, volumes) to $defs. */
function shared(kinds: Record<string, Schema>): { $defs: Record<string, Schema>; kinds: Record<string, Schema> } {
  const LEAST = 200 // characters; less is not worth a reference
  const times = new Map<string, number>()
  const count = (value: unknown): void => {
    if (!isSchema(value)) return
    const text = JSON.stringify(value)
    times.set(text, (times.get(text) ?? 0) + 1)
    if (times.get(text) === 1) for (const each of Object.values(value)) count(each)
  }
  const names = new Map<string, string>()
  const $defs: Record<string, Schema> = {}
  const refer = (value: unknown): unknown => {
    if (!isSchema(value)) return value
    const text = JSON.stringify(value)
    const known = names.get(text)
    if (known !== undefined) return { $ref: `#/$defs/${known}` }
    const made = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, refer(each)]))
    if ((times.get(text) ?? 0) < 2 || text.length < LEAST || typeof value.type !== 'string') return made
    const name = String(names.size)
    names.set(text, name)
    $defs[name] = made
    return { $ref: `#/$defs/${name}` }
  }
  count(kinds)
  return { kinds: refer(kinds) as Record<string, Schema>, $defs }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
