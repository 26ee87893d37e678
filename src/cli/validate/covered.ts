import IPCIDR from 'ip-cidr'
import { isObject, type NetConf } from '../../cni/request.ts'
import type { ConfiguredRoute } from '../../config/config.ts'
import { MAX_PREFIXES } from '../../config/schema.ts'
import { familyOf, parsePrefix } from '../../net/address.ts'
import { sameAttributes } from '../../net/attributes.ts'
import type { Say } from './finding.ts'

/** Notes routes that change nothing, because a wider one of the list sends their packets the same way. */
export function coveredRoutes(routes: readonly ConfiguredRoute[], say: Say): void {
  const tables = Map.groupBy(
    routes.map((route) => ({ ...route, index: Number(/\d+/.exec(route.path)) })),
    ({ table }) => table,
  )
  for (const all of tables.values()) {
    const byDst = Map.groupBy(all, ({ dst }) => dst)
    // What each of several routes to one destination is for depends on which NICs are up.
    const isOnly = ({ dst }: ConfiguredRoute) => byDst.get(dst)?.length === 1
    for (const [i, cover] of covers(all.map(({ dst }) => dst)).entries()) {
      const [route, wider] = [all[i], all[cover ?? -1]]
      if (!route || !wider || !isOnly(route) || !isOnly(wider) || !sameButForDst(route, wider)) continue
      say(
        'XCR206',
        ['routes', route.index],
        `${wider.path} covers ${route.dst} with ${wider.dst} and is otherwise the same; remove this route, unless it must win over another route`,
      )
    }
  }
}

function sameButForDst(one: ConfiguredRoute, other: ConfiguredRoute): boolean {
  return REST.every((key) => one[key] === other[key]) && sameAttributes(one.attributes, other.attributes)
}

const REST = ['gw', 'dev', 'src', 'priority', 'scope', 'onlink'] as const

/** Warns of prefixes in `overrides.within` that allow nothing more than another one there. */
export function coveredPrefixes({ overrides }: NetConf, say: Say): void {
  const { within } = isObject(overrides) ? overrides : {}
  if (!Array.isArray(within) || within.length > MAX_PREFIXES) return
  const known = within.flatMap((written: unknown, index) => {
    const prefix = typeof written === 'string' ? parsePrefix(written) : undefined
    return prefix ? { index, network: prefix.network } : []
  })
  for (const [i, cover] of covers(known.map(({ network }) => network)).entries()) {
    const [one, wider] = [known[i], known[cover ?? -1]]
    if (!one || !wider) continue
    const found =
      one.network === wider.network
        ? `${one.network} is already within[${wider.index}]`
        : `within[${wider.index}] covers ${one.network} with ${wider.network}`
    say('XCR207', ['overrides', 'within', one.index], `${found}; remove this prefix`)
  }
}

/** For each prefix, the index of the narrowest other one that covers it. Of equal prefixes, each covers the next. */
function covers(prefixes: readonly string[]): (number | undefined)[] {
  const ranges = prefixes.map((prefix, index) => {
    const [first, last] = new IPCIDR(prefix).toRange<bigint>({ type: 'bigInteger' })
    return { index, family: familyOf(prefix), first, last }
  })
  // Of two that begin together the wider one comes first. Prefixes never overlap in part.
  ranges.sort((a, b) => a.family - b.family || compare(a.first, b.first) || compare(b.last, a.last))
  const found: (number | undefined)[] = Array(prefixes.length)
  const around: typeof ranges = []
  for (const range of ranges) {
    const isAround = ({ family, last }: typeof range) => family === range.family && last >= range.first
    for (let inner = around.at(-1); inner && !isAround(inner); inner = around.at(-1)) around.pop()
    found[range.index] = around.at(-1)?.index
    around.push(range)
  }
  return found
}

const compare = <T extends bigint | number>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0)
