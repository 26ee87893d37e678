/** Schemas of kinds, made of the types in Go. */
import { controllerGen } from './go.ts'
import type { Schema } from './shared.ts'
import type { Source } from './sources.ts'

interface Definition {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }] }
}

/** Each kind's schema, by `apiVersion kind`. */
export function kindsOf(source: Source, version: string): Record<string, Schema> {
  // "Dangerous" types are floating-point numbers.
  const options = 'maxDescLen=0,generateEmbeddedObjectMeta=true,allowDangerousTypes=true'
  const read = controllerGen({ module: source.module, version }, goSource(source), options, '.')
  const { spec } = read('schemas_kinds.yaml') as Definition
  const properties = spec.versions[0].schema.openAPIV3Schema.properties as Record<string, Schema>
  return Object.fromEntries(
    source.packages.flatMap(({ apiVersion, kinds }) =>
      kinds.map((kind) => [`${apiVersion} ${kind}`, whole(properties[kind] ?? {}, apiVersion, kind)]),
    ),
  )
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
