import type * as z from 'zod/mini'
import { isObject } from '../cni/request.ts'
import { Code, quote, refusal } from '../errors.ts'
import { type Family, familyOf, type Prefix, parseAddress, parsePrefix } from '../net/address.ts'
import { DEFAULT_DST, DEFAULT_PRIORITY, MAIN_TABLE, Scope } from '../net/route.ts'
import { explain } from './explain.ts'
import { CONF, KEYS_OF, keysAt, MOST_ROUTES, ROUTE, ROUTE_KEYS, SCOPES } from './schema.ts'
import { strangeKeys } from './strange-keys.ts'

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

/** An entry of `routes` as far as it is right; a key that is wrong is one that nobody knows. */
type KnownRoute = Pick<ConfiguredRoute, 'key'> & Partial<ConfiguredRoute>

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

/** What a configuration asks for as far as it is right; and all of it, or its problems one by one, key path first. */
export type Read = Readonly<{ routes: readonly KnownRoute[]; gateway?: Gateway }> &
  ({ readonly config: Config } | { readonly problems: readonly string[] })

/** The same, with what is right of a configuration that is wrong: no fault hides another. */
export function readConfig(conf: Readonly<Record<string, unknown>>, base: readonly string[] = []): Read {
  const written = presentKeys(conf)
  // In args.cni there may be anybody's keys.
  const problems = base.length > 0 ? [] : strangeKeys(conf)
  const routes = readRoutes(written.routes, base, problems)
  const { right } = readMembers(CONF, written, base, problems)
  const { defaultRoute = 'remove', ovnGateway, kubevirt = false, dryRun = false } = right
  const gateway = ovnGateway === undefined ? {} : { gateway: gatewayOf(ovnGateway) }
  if (problems.length > 0) return { problems, routes, ...gateway }
  const perFamily = typeof defaultRoute === 'string' ? { ipv4: defaultRoute, ipv6: defaultRoute } : defaultRoute
  const config: Config = {
    defaultRoute: { 4: perFamily.ipv4 ?? 'remove', 6: perFamily.ipv6 ?? 'remove' },
    routes: routes as ConfiguredRoute[], // whole, since nothing is wrong
    ...gateway,
    kubevirt,
    dryRun,
  }
  return { config, routes, ...gateway }
}

/** A configuration without the keys that are null, also those of ours below it. */
function presentKeys(conf: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let present = withoutNulls(conf, CONF._zod.def.shape)
  for (const key in KEYS_OF) {
    const inner = withoutNulls(present[key], KEYS_OF[key] ?? {})
    if (inner !== present[key]) present = { ...present, [key]: inner }
  }
  return present
}

/**
 * An object without those of `keys` that are null: what is written in Go says so of a slice or pointer that is not there. Of
 * a key that nobody knows it says nothing.
 */
export function withoutNulls<T>(written: T, keys: object): T {
  if (!isObject(written) || !hasNull(written)) return written
  return Object.fromEntries(
    Object.entries(written).filter(([key, value]) => value !== null || !Object.hasOwn(keys, key)),
  ) as T
}

function hasNull(written: Readonly<Record<string, unknown>>): boolean {
  for (const key in written) if (written[key] === null) return true
  return false
}

const NONE: ReadonlySet<PropertyKey> = new Set()

/** The members of an object that are right by a schema, and which keys are not; what is wrong goes to `problems`. */
function readMembers<S extends typeof ROUTE | typeof CONF>(
  schema: S,
  written: unknown,
  path: readonly PropertyKey[],
  problems: string[],
): { readonly right: Partial<z.infer<S>>; readonly wrong: ReadonlySet<PropertyKey> } {
  const parsed = schema.safeParse(written, { reportInput: true })
  if (parsed.success) return { right: parsed.data as z.infer<S>, wrong: NONE }
  const { issues } = parsed.error
  problems.push(...issues.flatMap((issue) => explain(issue, path, keysAt)))
  const wrong = new Set(issues.flatMap((issue) => issue.path.slice(0, 1)))
  const known = Object.keys(schema._zod.def.shape).filter((key) => isObject(written) && Object.hasOwn(written, key))
  const right = known.filter((key) => !wrong.has(key)).map((key) => [key, (written as Record<string, unknown>)[key]])
  return { right: Object.fromEntries(right), wrong }
}

/** Each entry by itself, so that a problem in one place hides none in another. */
function readRoutes(written: unknown, base: readonly string[], problems: string[]): KnownRoute[] {
  if (!Array.isArray(written) || written.length > MOST_ROUTES) return []
  const at = [...base, 'routes'].join('.')
  const seen = new Map<string, string>()
  return written.map((one: unknown, index) => {
    const entry = withoutNulls(one, ROUTE_KEYS)
    const { right, wrong } = readMembers(ROUTE, entry, [...base, 'routes', index], problems)
    const route = routeOf(right, `${at}[${index}]`, isObject(entry) ? entry : {}, wrong)
    problems.push(...contradictions(route, isObject(entry) ? entry : {}), ...twins(route, seen))
    return route
  })
}

function gatewayOf(written: NonNullable<Written['ovnGateway']>): Gateway {
  if (written === 'auto') return { ask: { 4: 'auto', 6: 'auto' }, either: true, named: false, onlink: false }
  if (typeof written === 'string')
    return { ask: { [familyOf(written)]: asked(written) }, either: false, named: false, onlink: false }
  const { ipv4, ipv6, dev, priority, onlink = false } = written
  // An object that names no family says only where: both are looked for there.
  const either = ipv4 === undefined && ipv6 === undefined
  return {
    ask: either
      ? { 4: 'auto', 6: 'auto' }
      : { ...(ipv4 === undefined ? {} : { 4: asked(ipv4) }), ...(ipv6 === undefined ? {} : { 6: asked(ipv6) }) },
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

/** @param wrong keys that were written and are not in `right` */
function routeOf(
  right: Partial<WrittenRoute>,
  key: string,
  entry: Readonly<Record<string, unknown>>,
  wrong: ReadonlySet<PropertyKey>,
): KnownRoute {
  const prefix = destination(entry.dst)
  const { gw, src, dev, mtu, advmss } = right
  const scope = typeof right.scope === 'string' ? SCOPES[right.scope] : right.scope
  const given = { mtu, advmss, priority: right.priority, table: right.table, scope }
  return {
    key,
    ...(prefix ? { family: prefix.family, dst: prefix.network } : {}),
    ...(gw === undefined ? {} : { gw: parseAddress(gw)?.address ?? gw }),
    ...(src === undefined ? {} : { src: parseAddress(src)?.address ?? src }),
    ...(dev === undefined ? {} : { dev }),
    ...(scope === undefined ? {} : { scope }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    // The kernel reads metric 0 of an IPv6 route, and table 0 of any, as its default.
    ...(wrong.has('priority') || !prefix ? {} : { priority: right.priority || DEFAULT_PRIORITY[prefix.family] }),
    ...(wrong.has('table') ? {} : { table: right.table || MAIN_TABLE }),
    onlink: right.onlink ?? false,
    given: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }
}

/** Where a route leads, also one that has host bits too many. */
function destination(written: unknown): Prefix | undefined {
  return typeof written === 'string' ? parsePrefix(written) : undefined
}

/** What no schema sees: keys of one entry that contradict each other. */
function contradictions(route: KnownRoute, entry: Readonly<Record<string, unknown>>): string[] {
  const { key, family, dst, scope, table, mtu, onlink } = route
  const problems: string[] = []
  const say = (where: string, what: string) => problems.push(`${key}.${where}: ${what}`)
  for (const name of ['gw', 'src'] as const) {
    const other = addressIn(entry[name])
    if (other && family && other.family !== family) {
      say(name, `${other.address} is no IPv${family} address, as ${dst} needs; write an IPv${family} address`)
    }
  }
  if (entry.gw !== undefined && scope === Scope.link) {
    const gw = route.gw ?? quote(entry.gw)
    say('scope', `a route through gateway ${gw} cannot have scope link; leave out "gw" or "scope"`)
  }
  if (onlink && entry.gw === undefined) say('onlink', 'says how to reach a gateway; add "gw" or leave it out')
  if (family === 6 && mtu !== undefined && mtu < LEAST_MTU_6)
    say('mtu', `must be ${LEAST_MTU_6} or more for IPv6, is ${mtu}`)
  if (family && dst === DEFAULT_DST[family] && table === MAIN_TABLE) {
    say('dst', `${dst} would be the default route that "defaultRoute" decides on; name the prefixes you need`)
  }
  return problems
}

/** @see https://www.rfc-editor.org/rfc/rfc8200#section-5 */
const LEAST_MTU_6 = 1280

function addressIn(written: unknown): { family: Family; address: string } | undefined {
  return typeof written === 'string' ? parseAddress(written) : undefined
}

/** Another entry for the same place, of those before. */
function twins({ key, dst, table, priority }: KnownRoute, seen: Map<string, string>): string[] {
  if (dst === undefined || table === undefined || priority === undefined) return []
  const place = `${dst} table ${table} metric ${priority}`
  const twin = seen.get(place)
  if (twin === undefined) seen.set(place, key)
  return twin === undefined
    ? []
    : [
        `${key}: ${dst} with the same table and priority stands in ${twin} already; remove one or give it another "priority"`,
      ]
}
