/** The projects' own CustomResourceDefinitions, as far as an API server validates by them. */
import { parse, parseAllDocuments } from 'yaml'
import { controllerGen, fileOf, type Module } from './go.ts'
import type { Schema } from './shared.ts'
import type { Source } from './sources.ts'

interface Names {
  readonly kind: string
  readonly plural: string
  readonly singular: string
}

/** What is kept of one, for one version. */
interface Definition {
  readonly scope: 'Cluster' | 'Namespaced'
  readonly names: Names
  readonly subresources?: object
  readonly schema: Schema
}

/** Of a CustomResourceDefinition. */
interface Spec {
  readonly group: string
  readonly scope: Definition['scope']
  readonly names: Names
  readonly versions: readonly {
    readonly name: string
    readonly subresources?: object
    readonly schema: { readonly openAPIV3Schema: Schema }
  }[]
}

/** Each kind's definition, by `apiVersion kind`; none if the project has none. */
export function definitionsOf(source: Source, from: Module): Record<string, Definition> {
  const specs = specsOf(source, from)
  return Object.fromEntries(
    source.packages.flatMap(({ apiVersion, kinds }) =>
      kinds.map((kind) => [`${apiVersion} ${kind}`, definitionOf(specs, apiVersion, kind)]),
    ),
  )
}

/** Which module they are from. */
export function moduleOf({ module, definitions }: Source): string {
  return definitions && 'module' in definitions && definitions.module !== undefined ? definitions.module : module
}

function specsOf({ definitions, packages }: Source, from: Module): Spec[] {
  if (!definitions) return []
  if ('package' in definitions) {
    const path = `${from.module}/${definitions.package}`
    const read = controllerGen(from, `package schemas\n\nimport _ "${path}"\n`, 'maxDescLen=0', path)
    return packages.flatMap(({ apiVersion, kinds }) => {
      const [group] = apiVersion.split('/')
      return kinds.map((kind) => (read(`${group}_${kind.toLowerCase()}s.yaml`) as { spec: Spec }).spec)
    })
  }
  const text = fileOf(from, definitions.file)
  return definitions.file.endsWith('.go')
    ? ofKubeVirt(text)
    : parseAllDocuments(text).flatMap((each) => each.toJS()?.spec ?? [])
}

/**
 * KubeVirt's operator has the schemas as YAML in a map, by the singular. What is around them is in
 * https://github.com/kubevirt/kubevirt/blob/v1.9.0/pkg/virt-operator/resource/generate/components/crds.go
 */
function ofKubeVirt(go: string): Spec[] {
  return ['KubeVirt', 'VirtualMachine'].map((kind) => {
    const singular = kind.toLowerCase()
    const [, schema = ''] = new RegExp(`^\\t"${singular}": \`([^\`]*)`, 'm').exec(go) ?? []
    return {
      group: 'kubevirt.io',
      scope: 'Namespaced',
      names: { kind, singular, plural: `${singular}s` },
      versions: [{ name: 'v1', subresources: { status: {} }, schema: parse(schema) }],
    }
  })
}

function definitionOf(specs: readonly Spec[], apiVersion: string, kind: string): Definition {
  for (const { group, scope, names, versions } of specs) {
    const version = versions.find(({ name }) => `${group}/${name}` === apiVersion)
    if (names.kind !== kind || !version) continue
    const { plural, singular } = names
    const schema = withoutWords(version.schema.openAPIV3Schema) as Schema
    const subresources = version.subresources && { subresources: version.subresources }
    return { scope, names: { kind, plural, singular }, ...subresources, schema }
  }
  throw new Error(`there is no definition of ${apiVersion} ${kind}`)
}

/** A schema without descriptions; a field of this name is an object. */
function withoutWords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutWords)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => key !== 'description' || typeof each !== 'string')
      .map(([key, each]) => [key, withoutWords(each)]),
  )
}
