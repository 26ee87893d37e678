import type * as z from 'zod/mini'
import { isObject } from '../cni/request.ts'
import { Code, quote, refusal } from '../errors.ts'
import { type Family, type Prefix, parseAddress, parsePrefix } from '../net/address.ts'
import { ATTRIBUTE_NAMES, ATTRIBUTES, type Attributes, attributesIn } from '../net/attributes.ts'
import { DEFAULT_DST, DEFAULT_PRIORITY, MAIN_TABLE, Scope } from '../net/route.ts'
import { explain } from './explain.ts'
import { type Gateway, gatewayOf } from './gateway.ts'
import { misnamedKeys } from './misnamed-keys.ts'
import { type Expansion, expandSets, type SetEntry, type Sets } from './route-sets.ts'
import { CONF, KEYS_OF, keysAt, MAX_ROUTES, type MISSING_FAMILY, ROUTE, ROUTE_KEYS, SCOPES } from './schema.ts'

/** What becomes of the default routes of the NIC in the main table. */
export type Disposition = 'remove' | 'demote' | 'keep'

/** An entry of `routes`, or what it makes of one prefix of its set. */
export interface ConfiguredRoute {
  /** The key path of the entry: `routes[0]`. */
  readonly path: string
  /** The set that the entry names, and the line of its file that has the prefix. */
  readonly set?: string
  readonly line?: number
  readonly family: Family
  readonly dst: string
  /** If absent, and not `scope: link`: the NIC's own next hop, which the kernel knows. */
  readonly gw?: string
  /** If absent: CNI_IFNAME. */
  readonly dev?: string
  readonly src?: string
  readonly priority: number
  readonly table: number
  /** If absent: what the next hop implies. */
  readonly scope?: number
  /** As configured: unlike in a route, a switch may be off. */
  readonly attributes?: Attributes
  readonly onlink: boolean
  /** The optional CNI 1.1 keys of the entry, exactly as written: beside the attributes, the Result repeats these only. */
  readonly given: Readonly<Partial<Record<'priority' | 'table' | 'scope', number>>>
}

/** `sourceRouting`: what is sent from an address of the NIC leaves by it. */
export interface SourceRouting {
  /** The table of the NIC. If absent, its name decides. */
  readonly table?: number
  /** Of the rules. */
  readonly priority: number
}

/** After the rules that others write with small numbers, before those of the kernel. */
const RULE_PRIORITY = 14_200

/** Our part of the network configuration, with defaults filled in. */
export interface Config {
  readonly defaultRoute: Readonly<Record<Family, Disposition>>
  readonly routes: readonly ConfiguredRoute[]
  /** What becomes of routes and gateways of a family that their NIC has no address of. */
  readonly missingFamily: (typeof MISSING_FAMILY)[number]
  readonly gateway?: Gateway
  readonly sourceRouting?: SourceRouting
  /** Refuse whatever KubeVirt's bridge binding cannot pass on to a VM. */
  readonly kubevirt: boolean
  readonly dryRun: boolean
}

/** What messages call a route: `routes[0]`, or with a set `routes[0] (underlay:12)`. */
export function nameOf({ path, set, line }: Pick<ConfiguredRoute, 'path' | 'set' | 'line'>): string {
  return set === undefined ? path : `${path} (${set}:${line})`
}

/** An entry of `routes` without its invalid keys. */
type PartialRoute = Pick<ConfiguredRoute, 'path'> & Partial<ConfiguredRoute>

/** With what comes of it, if it names a set that is known. */
type Entry = PartialRoute & { readonly expansion?: Expansion }

type WrittenRoute = z.infer<typeof ROUTE>

type Written = z.infer<typeof CONF>

/**
 * Reads our keys of a network configuration. Other keys are ignored: runtimes and libcni add some. Sets are not looked at.
 * @param base the path to the keys, for messages: `['args', 'cni']`
 * @throws CniError 7 with the first problem in the message and all others in the details
 */
export function parseConfig(conf: Readonly<Record<string, unknown>>, base: readonly string[] = []): Config {
  const { config, problems } = readConfig(conf, base)
  if (config) return config
  throw refusal(Code.invalidConfig, problems)
}

/** The valid part of a configuration, and what is wrong with the rest. */
export interface ReadConfig {
  readonly entries: readonly Entry[]
  readonly gateway?: Gateway
  /** All of it, if nothing is wrong. */
  readonly config?: Config
  /** Each with its key path first. */
  readonly problems: readonly string[]
  /** The same of what may be right the next time: sets that are not there yet. */
  readonly later: readonly string[]
}

/**
 * As `parseConfig`, for a configuration that may be invalid. Its valid part is returned as well, so no mistake hides
 * another.
 */
export function readConfig(
  conf: Readonly<Record<string, unknown>>,
  base: readonly string[] = [],
  sets: Sets = () => undefined,
): ReadConfig {
  const written = presentKeys(conf)
  const { entries, problems: ofRoutes, later } = readRoutes(written.routes, base, sets)
  const { valid, problems: ofMembers } = readMembers(CONF, written, base)
  // args.cni may hold the keys of any plugin.
  const problems = [...(base.length > 0 ? [] : misnamedKeys(conf)), ...ofRoutes, ...ofMembers]
  const {
    defaultRoute = 'remove',
    missingFamily = 'refuse',
    ovnGateway,
    sourceRouting,
    kubevirt = false,
    dryRun = false,
  } = valid
  const gateway = ovnGateway === undefined ? {} : { gateway: gatewayOf(ovnGateway) }
  const read = { entries, ...gateway, problems, later }
  if (problems.length > 0 || later.length > 0) return read
  const perFamily = typeof defaultRoute === 'string' ? { ipv4: defaultRoute, ipv6: defaultRoute } : defaultRoute
  const config: Config = {
    defaultRoute: { 4: perFamily.ipv4 ?? 'remove', 6: perFamily.ipv6 ?? 'remove' },
    routes: routesOf(entries),
    missingFamily,
    ...gateway,
    ...(sourceRouting ? { sourceRouting: sourceRoutingOf(sourceRouting) } : {}),
    kubevirt,
    dryRun,
  }
  return { ...read, config }
}

/** The routes that entries without problems come to. */
function routesOf(entries: readonly Entry[]): readonly ConfiguredRoute[] {
  const complete = entries as readonly (ConfiguredRoute & Entry)[]
  if (complete.every(({ set }) => set === undefined)) return complete
  return complete.flatMap((entry) => (entry.set === undefined ? entry : (entry.expansion?.routes ?? [])))
}

/** A configuration without those of our keys that are null, also inside of our objects. */
function presentKeys(conf: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let present = withoutNulls(conf, CONF._zod.def.shape)
  for (const key in KEYS_OF) {
    const inner = withoutNulls(present[key], KEYS_OF[key] ?? {})
    if (inner !== present[key]) present = { ...present, [key]: inner }
  }
  return present
}

/** An object without those of `keys` that are null. Programs in Go print absent slices and pointers as null. */
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

interface Members<T> {
  readonly valid: T
  readonly invalid: ReadonlySet<PropertyKey>
  readonly problems: readonly string[]
}

// Shared, since there may be thousands of valid entries.
const NO_KEYS: ReadonlySet<PropertyKey> = new Set()
const NO_PROBLEMS: readonly string[] = []

/** The members of an object that a schema accepts, the keys of the others, and why not. */
function readMembers<S extends typeof ROUTE | typeof CONF>(
  schema: S,
  written: unknown,
  path: readonly PropertyKey[],
): Members<Partial<z.infer<S>>> {
  const parsed = schema.safeParse(written, { reportInput: true })
  if (parsed.success) return { valid: parsed.data as z.infer<S>, invalid: NO_KEYS, problems: NO_PROBLEMS }
  const { issues } = parsed.error
  const problems = issues.flatMap((issue) => explain(issue, path, keysAt))
  const invalid = new Set(issues.flatMap((issue) => issue.path.slice(0, 1)))
  const known = Object.keys(schema._zod.def.shape).filter((key) => isObject(written) && Object.hasOwn(written, key))
  const valid = known.filter((key) => !invalid.has(key)).map((key) => [key, (written as Record<string, unknown>)[key]])
  return { valid: Object.fromEntries(valid), invalid, problems }
}

/** Reads each entry on its own, so that a mistake in one hides none in another; then those that name a set. */
function readRoutes(
  written: unknown,
  base: readonly string[],
  sets: Sets,
): Pick<ReadConfig, 'entries' | 'problems' | 'later'> {
  const problems: string[] = []
  if (!Array.isArray(written) || written.length > MAX_ROUTES) return { entries: [], problems, later: [] }
  const at = [...base, 'routes'].join('.')
  const seen = new Map<string, string>()
  const withSets: SetEntry[] = []
  const entries = written.map((one: unknown, index): Entry => {
    const entry = withoutNulls(one, ROUTE_KEYS)
    const members = readMembers(ROUTE, entry, [...base, 'routes', index])
    const keys = isObject(entry) ? entry : {}
    const path = `${at}[${index}]`
    const route = routeOf(members, path, destination(keys.dst))
    const twice = duplicates(route, seen)
    problems.push(...members.problems, ...(isObject(one) ? contradictions(route, keys) : []), ...twice)
    const { set } = route
    if (set === undefined || twice.length > 0) return route
    withSets.push({
      path,
      set,
      routeTo: ({ family, dst: network, line }, file) => {
        const made = routeOf(members, path, { family, network }) as ConfiguredRoute
        return { route: made, problems: contradictions(made, keys, `${file}:${line}`) }
      },
    })
    return route
  })
  if (withSets.length === 0) return { entries, problems, later: [] }
  const { expansions, ...wrong } = expandSets(withSets, sets, {
    take: (route) => duplicates(route, seen).length === 0,
    left: MAX_ROUTES - written.length + withSets.length,
  })
  return {
    entries: entries.map((entry) => {
      const expansion = expansions.get(entry.path)
      return expansion ? { ...entry, expansion } : entry
    }),
    // What is wrong with an entry whatever its prefixes are was told twice.
    problems: [...new Set([...problems, ...wrong.problems])],
    later: wrong.later,
  }
}

function sourceRoutingOf(written: NonNullable<Written['sourceRouting']>): SourceRouting {
  const { table, priority = RULE_PRIORITY } = typeof written === 'boolean' ? {} : written
  return { ...(table === undefined ? {} : { table }), priority }
}

function routeOf(
  { valid, invalid }: Members<Partial<WrittenRoute>>,
  path: string,
  prefix: Pick<Prefix, 'family' | 'network'> | undefined,
): PartialRoute {
  const { set, gw, src, dev } = valid
  const attributes = attributesIn(valid)
  const scope = typeof valid.scope === 'string' ? SCOPES[valid.scope] : valid.scope
  const given = { priority: valid.priority, table: valid.table, scope }
  return {
    path,
    ...(set === undefined ? {} : { set }),
    ...(prefix ? { family: prefix.family, dst: prefix.network } : {}),
    ...(gw === undefined ? {} : { gw: parseAddress(gw)?.address ?? gw }),
    ...(src === undefined ? {} : { src: parseAddress(src)?.address ?? src }),
    ...(dev === undefined ? {} : { dev }),
    ...(scope === undefined ? {} : { scope }),
    ...(attributes === undefined ? {} : { attributes }),
    // The kernel takes metric 0 of an IPv6 route, and table 0 of any route, for its default.
    ...(invalid.has('priority') || !prefix ? {} : { priority: valid.priority || DEFAULT_PRIORITY[prefix.family] }),
    ...(invalid.has('table') ? {} : { table: valid.table || MAIN_TABLE }),
    onlink: valid.onlink ?? false,
    given: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }
}

/** The destination of an entry, even if it has host bits set. */
function destination(written: unknown): Prefix | undefined {
  return typeof written === 'string' ? parsePrefix(written) : undefined
}

/**
 * Keys of one entry that contradict each other, which no schema can see.
 * @param line the file and line of the prefix, if it is from a set
 */
function contradictions(route: PartialRoute, entry: Readonly<Record<string, unknown>>, line?: string): string[] {
  const { path, family, dst, scope, table, attributes = {}, onlink } = route
  const problems: string[] = []
  const say = (where: string, what: string) => problems.push(`${path}.${where}: ${what}`)
  const shown = line === undefined ? dst : `${dst} (${line})`
  if (entry.dst === undefined && entry.set === undefined) say('dst', 'missing; write "dst" or "set"')
  if (entry.dst !== undefined && entry.set !== undefined)
    say('set', 'cannot be combined with "dst"; remove one of them')
  for (const name of ['gw', 'src'] as const) {
    const other = addressIn(entry[name])
    if (other && family && other.family !== family) {
      const write =
        line === undefined
          ? `write an IPv${family} address`
          : `remove "${name}", or name a set that has only IPv${other.family} prefixes`
      say(name, `${other.address} is an IPv${other.family} address, but ${shown} is IPv${family}; ${write}`)
    }
  }
  if (entry.gw !== undefined && scope === Scope.link) {
    const gw = route.gw ?? quote(entry.gw)
    say('scope', `a route through gateway ${gw} cannot have scope link; leave out "gw" or "scope"`)
  }
  if (onlink && entry.gw === undefined) say('onlink', 'needs a gateway; add "gw" or remove "onlink"')
  for (const name of family === 6 ? ATTRIBUTE_NAMES : []) {
    const [attribute, value] = [ATTRIBUTES[name], attributes[name]]
    const { min6 = 0 } = attribute.is === 'integer' ? attribute : {}
    const such = line === undefined ? '' : `, such as ${shown}`
    if (Number(value) < min6) say(name, `must be at least ${min6} for IPv6${such}, is ${value}`)
  }
  if (family && dst === DEFAULT_DST[family] && table === MAIN_TABLE) {
    say('dst', `${dst} is the default route, which "defaultRoute" decides on; write the prefixes you need`)
  }
  return problems
}

function addressIn(written: unknown): { family: Family; address: string } | undefined {
  return typeof written === 'string' ? parseAddress(written) : undefined
}

/** Whether an earlier entry is for the same place, or for the same set in the same table with the same metric. */
function duplicates({ path, dst, set, table, priority, given }: PartialRoute, seen: Map<string, string>): string[] {
  const what = dst ?? (set === undefined ? undefined : `set ${set}`)
  const metric = dst === undefined ? (given?.priority ?? 0) : priority
  if (what === undefined || table === undefined || metric === undefined) return []
  const place = `${what} table ${table} metric ${metric}`
  const earlier = seen.get(place)
  if (earlier === undefined) seen.set(place, path)
  return earlier === undefined
    ? []
    : [
        `${path}: ${what} is already in ${earlier} with the same table and priority; remove one, or write another "priority"`,
      ]
}
