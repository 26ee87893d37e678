import type { SetPrefix } from '../../config/route-sets.ts'
import { parsePrefix, prefixesAroundIn } from '../../net/address.ts'

/** How many prefixes still are, in whole, what a set has now: as they were, in a shorter prefix, or in parts. */
export function survivorsOf(then: readonly SetPrefix[], now: readonly SetPrefix[]): number {
  const left = withWholes(now.map(({ dst }) => dst))
  const aroundIn = prefixesAroundIn(left)
  const isIn = (prefix: string) => aroundIn(addressOf(prefix)).some((outer) => lengthOf(outer) <= lengthOf(prefix))
  return then.filter(({ dst }) => left.has(dst) || isIn(dst)).length
}

const addressOf = (prefix: string) => prefix.slice(0, prefix.indexOf('/'))
const lengthOf = (prefix: string) => Number(prefix.slice(prefix.indexOf('/') + 1))

/** The prefixes, and each whole whose two halves are among them or are such wholes themselves. */
function withWholes(prefixes: readonly string[]): ReadonlySet<string> {
  const all = new Set(prefixes)
  const byLength = Map.groupBy(all, lengthOf)
  for (let length = 128; length > 0; length -= 1) {
    const halved = new Set<string>()
    for (const half of byLength.get(length) ?? []) {
      const whole = parsePrefix(`${addressOf(half)}/${length - 1}`)?.network ?? ''
      if (!halved.has(whole)) halved.add(whole)
      else if (!all.has(whole)) {
        all.add(whole)
        const shorter = byLength.get(length - 1) ?? []
        shorter.push(whole)
        byLength.set(length - 1, shorter)
      }
    }
  }
  return all
}
