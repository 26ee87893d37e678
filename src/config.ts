import type * as z from 'zod/mini'
import { type Family, familyOf, parseAddress, parsePrefix } from './address.ts'
import { Code, refusal } from './errors.ts'
import { explain } from './explain.ts'
import { DEFAULT_DST, DEFAULT_PRIORITY, LOCAL_TABLE, MAIN_TABLE, Scope } from './route.ts'
import { CONF, keysAt, MOST_ROUTES, ROUTE, SCOPES } from './schema.ts'

/** What happens to the main-table default routes of the interface. */
export type DefaultRoute = 'remove' | 'demote' | 'keep'

/** `ovnGateway`: the one default route of the pod, for each family that is asked for. */
export interface Gateway {
  readonly ask: Readonly<Partial<Record<Family, 'auto' | { readonly address: string }>>>
  /** Plain "auto": a gateway of one family is enough. */
  readonly either: boolean
  /** The keys `ipv4` and `ipv6` were written, not only a word or an address. */
  readonly named: boolean
  /** Absent: CNI_IFNAME, or with "auto" whichever NIC has the gateway. */
  readonly dev?: string
  readonly priority?: number
  readonly onlink: boolean
}

/** One entry of `routes`: a route to have. */
export interface ConfiguredRoute {
  /** Where it stands: `routes[0]`. */
  readonly key: string
  readonly family: Family
  readonly dst: string
  /** Absent and no `scope: link`: the interface's own next hop, which the kernel knows. */
  readonly gw?: string
  /** Absent: CNI_IFNAME. */
  readonly dev?: string
  readonly src?: string
  readonly priority: number
  readonly table: number
  /** As configured; absent: what the next hop implies. */
  readonly scope?: number
  readonly mtu?: number
  readonly advmss?: number
  readonly onlink: boolean
  /**
   * The optional CNI 1.1 keys that were written down, as they were written: these, and no others, appear in the
   * Result.
   */
  readonly given: Readonly<Partial<Record<'mtu' | 'advmss' | 'priority' | 'table' | 'scope', number>>>
}

/** The plugin's part of the network configuration, defaults filled in. */
export interface Config {
  readonly defaultRoute: Readonly<Record<Family, DefaultRoute>>
  readonly routes: readonly ConfiguredRoute[]
  readonly gateway?: Gateway
  /** Refuse what KubeVirt's bridge binding cannot hand to a VM. */
  readonly kubevirt: boolean
  readonly dryRun: boolean
}

type WrittenRoute = z.infer<typeof ROUTE>

type Written = z.infer<typeof CONF>

/**
 * The plugin's keys of a network configuration. Keys of others are ignored: runtimes and libcni add some.
 * @param base where the keys stand, for messages: `['args', 'cni']`
 * @throws CniError 7 with the key path of the first problem in the message, those of all others in the details
 */
export function parseConfig(conf: Readonly<Record<string, unknown>>, base: readonly string[] = []): Config {
  const read = readConfig(conf, base)
  if ('config' in read) return read.config
  throw refusal(Code.invalidConfig, read.problems)
}

/** The same, and its problems one by one, key path first. */
export function readConfig(
  conf: Readonly<Record<string, unknown>>,
  base: readonly string[] = [],
): { readonly config: Config } | { readonly problems: readonly string[] } {
  const problems: string[] = []
  const at = (key: string) => [...base, key].join('.')
  // An entry by itself, so that a problem in one place hides none in another.
  const routes: ConfiguredRoute[] = []
  const entries = Array.isArray(conf.routes) && conf.routes.length <= MOST_ROUTES ? conf.routes : []
  for (const [index, entry] of entries.entries()) {
    const parsed = ROUTE.safeParse(entry, { reportInput: true })
    if (parsed.success) routes.push(routeOf(parsed.data, `${at('routes')}[${index}]`))
    else problems.push(...parsed.error.issues.flatMap((issue) => explain(issue, [...base, 'routes', index], keysAt)))
  }
  problems.push(...routeProblems(routes))

  const parsed = CONF.safeParse(conf, { reportInput: true })
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap((issue) => explain(issue, base, keysAt)))
  const gateway =
    parsed.data?.ovnGateway === undefined ? undefined : gatewayOf(parsed.data.ovnGateway, at('ovnGateway'), problems)
  if (!parsed.success || problems.length > 0) return { problems }
  const { defaultRoute = 'remove', kubevirt = false, dryRun = false } = parsed.data
  const perFamily = typeof defaultRoute === 'string' ? { ipv4: defaultRoute, ipv6: defaultRoute } : defaultRoute
  return {
    config: {
      defaultRoute: { 4: perFamily.ipv4 ?? 'remove', 6: perFamily.ipv6 ?? 'remove' },
      routes,
      ...(gateway === undefined ? {} : { gateway }),
      kubevirt,
      dryRun,
    },
  }
}

function gatewayOf(written: NonNullable<Written['ovnGateway']>, at: string, problems: string[]): Gateway {
  if (written === 'auto') return { ask: { 4: 'auto', 6: 'auto' }, either: true, named: false, onlink: false }
  if (typeof written === 'string')
    return { ask: { [familyOf(written)]: asked(written) }, either: false, named: false, onlink: false }
  const { ipv4, ipv6, dev, priority, onlink = false } = written
  const ask: Partial<Record<Family, 'auto' | { address: string }>> = {}
  for (const [family, value] of [
    [4, ipv4],
    [6, ipv6],
  ] as const) {
    if (value === undefined) continue
    if (value !== 'auto' && familyOf(value) !== family) {
      problems.push(`${at}.ipv${family}: ${value} is no IPv${family} address; write an IPv${family} address or "auto"`)
    }
    ask[family] = asked(value)
  }
  // An object that names no family says only where: both are looked for there.
  const either = ipv4 === undefined && ipv6 === undefined
  return {
    ask: either ? { 4: 'auto', 6: 'auto' } : ask,
    either,
    named: !either,
    ...(dev === undefined ? {} : { dev }),
    ...(priority === undefined ? {} : { priority }),
    onlink,
  }
}

function asked(value: string): 'auto' | { address: string } {
  return value === 'auto' ? 'auto' : { address: parseAddress(value)?.address ?? value }
}

function routeOf(written: WrittenRoute, key: string): ConfiguredRoute {
  const prefix = parsePrefix(written.dst)
  if (!prefix) throw new Error(`unreachable: ${written.dst} was validated`)
  const { family } = prefix
  const { gw, src, dev, mtu, advmss } = written
  const scope = typeof written.scope === 'string' ? SCOPES[written.scope] : written.scope
  const given = { mtu, advmss, priority: written.priority, table: written.table, scope }
  return {
    key,
    family,
    dst: prefix.network,
    ...(gw === undefined ? {} : { gw: parseAddress(gw)?.address ?? gw }),
    ...(src === undefined ? {} : { src: parseAddress(src)?.address ?? src }),
    ...(dev === undefined ? {} : { dev }),
    ...(scope === undefined ? {} : { scope }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    // The kernel reads metric 0 of an IPv6 route, and table 0 of any, as its default.
    priority: written.priority || DEFAULT_PRIORITY[family],
    table: written.table || MAIN_TABLE,
    onlink: written.onlink ?? false,
    given: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }
}

/** What no schema sees: keys of one entry that contradict each other, entries that are equal. */
function routeProblems(routes: readonly ConfiguredRoute[]): string[] {
  const problems: string[] = []
  const seen = new Map<string, string>()
  for (const route of routes) {
    const { key, family, dst, gw, src, scope, table, priority, mtu } = route
    const say = (where: string, what: string) => problems.push(`${key}${where}: ${what}`)
    for (const [name, value] of [
      ['gw', gw],
      ['src', src],
    ] as const) {
      if (value !== undefined && familyOf(value) !== family) {
        say(`.${name}`, `${value} is no IPv${family} address, as ${dst} needs; write an IPv${family} address`)
      }
    }
    if (gw !== undefined && scope === Scope.link) {
      say('.scope', `a route through gateway ${gw} cannot have scope link; leave out "gw" or "scope"`)
    }
    if (route.onlink && gw === undefined) say('.onlink', 'says how to reach a gateway; add "gw" or leave it out')
    if (family === 6 && mtu !== undefined && mtu < 1280) say('.mtu', `must be 1280 or more for IPv6, is ${mtu}`)
    if (table === LOCAL_TABLE) say('.table', "255 is the kernel's local table; choose another")
    if (table === MAIN_TABLE && dst === DEFAULT_DST[family]) {
      say('.dst', `${dst} would be the default route that "defaultRoute" decides on; name the prefixes you need`)
    }
    const place = `${dst} table ${table} metric ${priority}`
    const twin = seen.get(place)
    if (twin === undefined) seen.set(place, key)
    else
      say(
        '',
        `${dst} with the same table and priority stands in ${twin} already; remove one or give it another "priority"`,
      )
  }
  return problems
}
