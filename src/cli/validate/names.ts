/** Finds things by name, without a search through all of them. */
export interface ByName {
  /** The first that the name may mean. If either side has no namespace, the names alone decide: kubectl adds the namespace. */
  readonly first: (name: string) => number | undefined
}

/** @param named names, `NAMESPACE/NAME` or `NAME`, each with the number of what it names, ascending */
export function byName(named: Iterable<readonly [name: string, number: number]>): ByName {
  const [full, bare, alone] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  for (const [name, number] of named) {
    const isFull = name.includes('/')
    for (const [map, key] of [[isFull ? full : alone, name] as const, [bare, bareName(name)] as const])
      if (!map.has(key)) map.set(key, number)
  }
  return {
    first: (name) => {
      if (!name.includes('/')) return bare.get(name)
      const found = [full.get(name), alone.get(bareName(name))].filter((number) => number !== undefined)
      return found.length > 0 ? Math.min(...found) : undefined
    },
  }
}

const bareName = (name: string) => name.slice(name.lastIndexOf('/') + 1)
