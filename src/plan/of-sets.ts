import type { Config } from '../config/config.ts'

/** Tells whether a key path is about an entry of `routes` that names a set: `routes[0] (underlay:12)`, `routes[0].src`. */
export function ofSets({ routes }: Pick<Config, 'routes'>): (path: string) => boolean {
  const entries = new Set(routes.flatMap(({ path, set }) => (set === undefined ? [] : path)))
  return (path) => entries.has(/^[^\]]*\]/.exec(path)?.[0] ?? path)
}
