/** What the API server, kind and kustomize would say of a manifest: test/schemas/ has their schemas. */
import { readdirSync, readFileSync } from 'node:fs'
import { z } from 'zod'

type JsonSchema = z.core.JSONSchema.JSONSchema

interface SchemaFile {
  /** Which values of kind/versions.env it is for, by key, and what it is made of. */
  readonly from: Readonly<Record<string, unknown>>
  readonly $defs: Record<string, JsonSchema>
  /** By `apiVersion kind`. */
  readonly kinds: Readonly<Record<string, JsonSchema>>
}

const DIRECTORY = new URL('../schemas/', import.meta.url)

export const SCHEMA_FILES: readonly (SchemaFile & { name: string })[] = readdirSync(DIRECTORY, {
  recursive: true,
  encoding: 'utf8',
})
  .filter((name) => name.endsWith('.json'))
  // test/schemas/generated/definitions/ has none
  .map((name) => ({ name, kinds: {}, ...JSON.parse(readFileSync(new URL(name, DIRECTORY), 'utf8')) }))

const schemas = new Map(
  SCHEMA_FILES.flatMap(({ kinds, $defs }) =>
    Object.entries(kinds).map(([kind, schema]) => [kind, z.fromJSONSchema({ ...schema, $defs })] as const),
  ),
)

/** `path: what is wrong`, one for each problem, none if there is none. A field that the schema does not name is one. */
export function problems(body: object, kind: string): string[] {
  const schema = schemas.get(kind)
  if (!schema) return [`${kind}: there is no schema for it in test/schemas/`]
  const { error } = schema.safeParse(body)
  return (error?.issues ?? []).flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return `${z.core.toDotPath(issue.path)}: ${issue.message}`
    return issue.keys.map((key) => `${z.core.toDotPath([...issue.path, key])}: unknown field`)
  })
}
