/** Schemas in few bytes. */

export type Schema = { [keyword: string]: unknown }

/** Moves what is repeated (affinities, probes, volumes) to $defs. @param schemas by whatever key, or in objects at such keys */
export function shared<T extends object>(schemas: T): { schemas: T; $defs: Record<string, Schema> } {
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
  count(schemas)
  return { schemas: refer(schemas) as T, $defs }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
