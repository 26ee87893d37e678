/**
 * The CustomResourceDefinitions of what the manifests are about: of test/schemas/generated/definitions/, which are the projects'
 * own, and for Calico made of test/schemas/calico.json.
 */
import { readdirSync, readFileSync } from 'node:fs'

type Schema = { readonly [keyword: string]: unknown }

interface Definition {
  readonly scope: 'Cluster' | 'Namespaced'
  readonly names: { readonly kind: string; readonly plural: string }
  readonly subresources?: object
  readonly schema: Schema
}

const SCHEMAS = new URL('../schemas/', import.meta.url)
const OWN = new URL('generated/definitions/', SCHEMAS)
const read = (file: string, directory: URL) => JSON.parse(readFileSync(new URL(file, directory), 'utf8'))

/** What calico.json does not say. */
const OF_CALICO: Record<string, Pick<Definition, 'scope' | 'names'>> = {
  'projectcalico.org/v3 NetworkPolicy': {
    scope: 'Namespaced',
    names: { kind: 'NetworkPolicy', plural: 'networkpolicies' },
  },
  'operator.tigera.io/v1 Installation': { scope: 'Cluster', names: { kind: 'Installation', plural: 'installations' } },
  'operator.tigera.io/v1 APIServer': { scope: 'Cluster', names: { kind: 'APIServer', plural: 'apiservers' } },
}

/** Ready to be applied. */
export const DEFINITIONS: readonly object[] = [
  ...readdirSync(OWN).flatMap((file) => {
    const { definitions, $defs } = read(file, OWN)
    return Object.entries<Definition>(whole(definitions, $defs)).map(([kind, each]) => resource(kind, each))
  }),
  ...calico(),
]

function calico(): object[] {
  const { kinds, $defs } = read('calico.json', SCHEMAS)
  return Object.entries<Schema>(whole(kinds, $defs)).map(([kind, schema]) => {
    const known = OF_CALICO[kind]
    if (!known) throw new Error(`${kind} of calico.json is not in OF_CALICO; add it`)
    const { metadata: _, ...properties } = schema.properties as Record<string, Schema>
    return resource(kind, { ...known, schema: structural({ ...schema, properties }) })
  })
}

function resource(apiVersionKind: string, { scope, names, subresources, schema }: Definition): object {
  const [, group = '', name] = /^(.*)\/(\S+) /.exec(apiVersionKind) ?? []
  const version = { name, served: true, storage: true, subresources, schema: { openAPIV3Schema: schema } }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.plural}.${group}` },
    spec: { group, scope, names, versions: [version] },
  }
}

/** With what stands in `$defs` in every place that refers to it. */
function whole<T>(value: T, $defs: Record<string, Schema>): T {
  if (Array.isArray(value)) return value.map((each) => whole(each, $defs)) as T
  if (typeof value !== 'object' || value === null) return value
  const { $ref } = value as Schema
  if (typeof $ref === 'string') return whole($defs[$ref.replace('#/$defs/', '')], $defs) as T
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, whole(each, $defs)])) as T
}

/**
 * JSON Schema as the API server takes it: every value has a type, and what is unknown is refused anyway.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
function structural({ const: only, additionalProperties, properties, items, anyOf, ...rest }: Schema): Schema {
  if (anyOf) return intOrString(anyOf as readonly Schema[])
  const values = only === undefined ? (rest.enum as readonly unknown[] | undefined) : [only]
  const type = typeof values?.[0] === 'number' ? 'integer' : 'string'
  return {
    type,
    ...(values && { enum: values }),
    ...rest,
    ...(typeof additionalProperties === 'object' && {
      additionalProperties: structural(additionalProperties as Schema),
    }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties as Record<string, Schema>).map(([key, each]) => [key, structural(each)]),
      ),
    }),
    ...(items !== undefined && { items: structural(items as Schema) }),
  }
}

/** Limits count for numbers, the pattern for strings. */
function intOrString(alternatives: readonly Schema[]): Schema {
  const either: Record<string, unknown> = { 'x-kubernetes-int-or-string': true }
  for (const { type: _, enum: words, ...limits } of alternatives) {
    Object.assign(either, limits, words !== undefined && { pattern: `^(${(words as string[]).join('|')})$` })
  }
  return either
}
