import type * as z from 'zod/mini'
import { isObject } from '../cni/request.ts'
import { Code, quote, refusal } from '../errors.ts'
import { type Family, familyOf, type Prefix, parseAddress, parsePrefix } from '../net/address.ts'
import { ATTRIBUTE_NAMES, ATTRIBUTES, type Attributes, attributesIn } from '../net/attributes.ts'
import { DEFAULT_DST, DEFAULT_PRIORITY, MAIN_TABLE, Scope } from '../net/route.ts'
import { explain } from './explain.ts'
import { misnamedKeys } from './misnamed-keys.ts'
import { CONF, KEYS_OF, keysAt, MAX_ROUTES, ROUTE, ROUTE_KEYS, SCOPES } from './schema.ts'

/** What becomes of the default routes of the NIC in the main table. */
export type Disposition = 'remove' | 'demote' | 'keep'

/** `ovnGateway`: the one default route that the pod gets. */
export interface Gateway {
  readonly wanted: Readonly<Partial<Record<Family, 'auto' | { readonly address: string }>>>
  /** One gateway of either family is enough: no family was named. */
  readonly either: boolean
  /** `ipv4` or `ipv6` was written, and not just "auto" or an address. */
  readonly named: boolean
  /** If absent: CNI_IFNAME, or with "auto" whichever NIC has the gateway. */
  readonly dev?: string
  readonly priority?: number
  readonly onlink: boolean
}

/** One entry of `routes`. */
export interface ConfiguredRoute {
  /** Its key path: `routes[0]`. */
  readonly path: string
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

/** Our part of the network configuration, with defaults filled in. */
export interface Config {
  readonly defaultRoute: Readonly<Record<Family, Disposition>>
  readonly routes: readonly ConfiguredRoute[]
  readonly gateway?: Gateway
  /** Refuse whatever KubeVirt's bridge binding cannot pass on to a VM. */
  readonly kubevirt: boolean
  readonly dryRun: boolean
}

/** An entry of `routes` without its invalid keys. */
type PartialRoute = Pick<ConfiguredRoute, 'path'> & Partial<ConfiguredRoute>

type WrittenRoute = z.infer<typeof ROUTE>

type Written = z.infer<typeof CONF>

/**
 * Reads our keys of a network configuration. Other keys are ignored: runtimes and libcni add some.
 * @param base the path to the keys, for messages: `['args', 'cni']`
 * @throws CniError 7 with the first problem in the message and all others in the details
 */
export function parseConfig(conf: Readonly<Record<string, unknown>>, base: readonly string[] = []): Config {
  const read = readConfig(conf, base)
  if ('config' in read) return read.config
  throw refusal(Code.invalidConfig, read.problems)
}

/** The valid part of a configuration; and either all of it, or its problems, each with its key path first. */
export type ReadConfig = Readonly<{ routes: readonly PartialRoute[]; gateway?: Gateway }> &
  ({ readonly config: Config } | { readonly problems: readonly string[] })

/**
 * As `parseConfig`, for a configuration that may be invalid. Its valid part is returned as well, so no mistake hides
 * another.
 */
export function readConfig(conf: Readonly<Record<string, unknown>>, base: readonly string[] = []): ReadConfig {
  const written = presentKeys(conf)
  const { routes, problems: ofRoutes } = readRoutes(written.routes, base)
  const { valid, problems: ofMembers } = readMembers(CONF, written, base)
  // args.cni may hold the keys of any plugin.
  const problems = [...(base.length > 0 ? [] : misnamedKeys(conf)), ...ofRoutes, ...ofMembers]
  const { defaultRoute = 'remove', ovnGateway, kubevirt = false, dryRun = false } = valid
  const gateway = ovnGateway === undefined ? {} : { gateway: gatewayOf(ovnGateway) }
  if (problems.length > 0) return { problems, routes, ...gateway }
  const perFamily = typeof defaultRoute === 'string' ? { ipv4: defaultRoute, ipv6: defaultRoute } : defaultRoute
  const config: Config = {
    defaultRoute: { 4: perFamily.ipv4 ?? 'remove', 6: perFamily.ipv6 ?? 'remove' },
    routes: routes as ConfiguredRoute[], // complete, since there are no problems
    ...gateway,
    kubevirt,
    dryRun,
  }
  return { config, routes, ...gateway }
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

/** Reads each entry on its own, so that a mistake in one hides none in another. */
function readRoutes(
  written: unknown,
  base: readonly string[],
): { readonly routes: readonly PartialRoute[]; readonly problems: readonly string[] } {
  const problems: string[] = []
  if (!Array.isArray(written) || written.length > MAX_ROUTES) return { routes: [], problems }
  const at = [...base, 'routes'].join('.')
  const seen = new Map<string, string>()
  const routes = written.map((one: unknown, index) => {
    const entry = withoutNulls(one, ROUTE_KEYS)
    const members = readMembers(ROUTE, entry, [...base, 'routes', index])
    const keys = isObject(entry) ? entry : {}
    const route = routeOf(members, `${at}[${index}]`, keys)
    problems.push(...members.problems, ...contradictions(route, keys), ...duplicates(route, seen))
    return route
  })
  return { routes, problems }
}

function gatewayOf(written: NonNullable<Written['ovnGateway']>): Gateway {
  if (written === 'auto') return { wanted: { 4: 'auto', 6: 'auto' }, either: true, named: false, onlink: false }
  if (typeof written === 'string')
    return { wanted: { [familyOf(written)]: gatewayTarget(written) }, either: false, named: false, onlink: false }
  const { ipv4, ipv6, dev, priority, onlink = false } = written
  // An object without a family only says where: look there for both.
  const either = ipv4 === undefined && ipv6 === undefined
  return {
    wanted: either
      ? { 4: 'auto', 6: 'auto' }
      : {
          ...(ipv4 === undefined ? {} : { 4: gatewayTarget(ipv4) }),
          ...(ipv6 === undefined ? {} : { 6: gatewayTarget(ipv6) }),
        },
    either,
    named: !either,
    ...(dev === undefined ? {} : { dev }),
    ...(priority === undefined ? {} : { priority }),
    onlink,
  }
}

function gatewayTarget(value: string): 'auto' | { address: string } {
  return value === 'auto' ? 'auto' : { address: parseAddress(value)?.address ?? value }
}

function routeOf(
  { valid, invalid }: Members<Partial<WrittenRoute>>,
  path: string,
  entry: Readonly<Record<string, unknown>>,
): PartialRoute {
  const prefix = destination(entry.dst)
  const { gw, src, dev } = valid
  const attributes = attributesIn(valid)
  const scope = typeof valid.scope === 'string' ? SCOPES[valid.scope] : valid.scope
  const given = { priority: valid.priority, table: valid.table, scope }
  return {
    path,
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

/** Keys of one entry that contradict each other, which no schema can see. */
function contradictions(route: PartialRoute, entry: Readonly<Record<string, unknown>>): string[] {
  const { path, family, dst, scope, table, attributes = {}, onlink } = route
  const problems: string[] = []
  const say = (where: string, what: string) => problems.push(`${path}.${where}: ${what}`)
  for (const name of ['gw', 'src'] as const) {
    const other = addressIn(entry[name])
    if (other && family && other.family !== family) {
      say(
        name,
        `${other.address} is an IPv${other.family} address, but ${dst} is IPv${family}; write an IPv${family} address`,
      )
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
    if (Number(value) < min6) say(name, `must be at least ${min6} for IPv6, is ${value}`)
  }
  if (family && dst === DEFAULT_DST[family] && table === MAIN_TABLE) {
    say('dst', `${dst} is the default route, which "defaultRoute" decides on; write the prefixes you need`)
  }
  return problems
}

function addressIn(written: unknown): { family: Family; address: string } | undefined {
  return typeof written === 'string' ? parseAddress(written) : undefined
}

/** Whether an earlier entry is for the same place. */
function duplicates({ path, dst, table, priority }: PartialRoute, seen: Map<string, string>): string[] {
  if (dst === undefined || table === undefined || priority === undefined) return []
  const place = `${dst} table ${table} metric ${priority}`
  const earlier = seen.get(place)
  if (earlier === undefined) seen.set(place, path)
  return earlier === undefined
    ? []
    : [
        `${path}: ${dst} is already in ${earlier} with the same table and priority; remove one, or write another "priority"`,
      ]
}
