import { CniError, Code, quote } from '../errors.ts'
import type { Family } from '../net/address.ts'
import { familyOf, isWithin, parseAddress, parsePrefix } from '../net/address.ts'
import { DEFAULT_DST, DEFAULT_PRIORITY, MAIN_TABLE, type Route } from '../net/route.ts'
import { type CniVersion, isObject, SUPPORTED_VERSIONS } from './request.ts'

type Json = Readonly<Record<string, unknown>>

/** The Result of the plugins before us: the shape is checked, everything unknown in it is kept. */
export interface PrevResult {
  readonly interfaces?: readonly Json[]
  readonly ips?: readonly (Json & { readonly address: string })[]
  readonly routes?: readonly (Json & { readonly dst: string })[]
  readonly [key: string]: unknown
}

/** One of our routes as the kernel has it, with the configuration entry that asked for it. */
export interface AppliedRoute {
  /** With the optional CNI 1.1 keys that were written: these, and no others, appear in the Result. */
  readonly configured: { readonly given: Json }
  readonly route: Route
}

// What CNI 1.1.0 added. Calico prints interfaces[].mtu at 1.0.0 as well, and strict readers of 1.0.0 refuse it.
const SINCE_1_1 = { interface: ['mtu', 'socketPath', 'pciID'], route: ['mtu', 'advmss', 'priority', 'table', 'scope'] }

type Test = readonly [ok: (value: unknown) => boolean, must: string]

const isText = (value: unknown) => typeof value === 'string'
const TEXT: Test = [isText, 'a string']
const TEXTS: Test = [(value) => Array.isArray(value) && value.every(isText), 'a list of strings']
const INDEX: Test = [(value) => Number.isInteger(value), 'an integer']
const ADDRESS: Test = [(value) => typeof value === 'string' && parseAddress(value) !== undefined, 'an IP address']
const PREFIX: Test = [
  (value) => typeof value === 'string' && parsePrefix(value) !== undefined,
  'an address with prefix length',
]
const VERSION: Test = [
  (value) => SUPPORTED_VERSIONS.some((version) => version === value),
  `one of ${SUPPORTED_VERSIONS.join(', ')}`,
]

/**
 * The keys of a Result whose type the specification fixes, so that a runtime would refuse ours for them, when the pod is
 * changed already. The first of each list must be there; null counts as absent, since Go prints an empty slice so.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#add-success
 */
const KNOWN = {
  interfaces: { name: TEXT, mac: TEXT, sandbox: TEXT, mtu: INDEX, socketPath: TEXT, pciID: TEXT },
  ips: { address: PREFIX, gateway: ADDRESS, interface: INDEX, version: TEXT },
  routes: { dst: PREFIX, gw: ADDRESS, mtu: INDEX, advmss: INDEX, priority: INDEX, table: INDEX, scope: INDEX },
} as const satisfies Record<string, Record<string, Test>>
const KNOWN_DNS: Record<string, Test> = { nameservers: TEXTS, domain: TEXT, search: TEXTS, options: TEXTS }

/**
 * `prevResult` of a configuration, without what is null in it.
 * @throws CniError 7 with the key path, when it is absent or no Result of the versions we speak
 */
export function parsePrevResult(value: unknown): PrevResult {
  if (value === undefined || value === null) {
    throw new CniError(
      Code.invalidConfig,
      'prevResult: missing; put x-calico-route after the plugin that makes the NIC (calico, kube-ovn, ...) in "plugins"',
    )
  }
  if (!isObject(value)) fail('prevResult', 'an object', value)
  if ('ip4' in value || 'ip6' in value) {
    throw new CniError(
      Code.invalidConfig,
      'prevResult: is of CNI 0.2.0 or older ("ip4", "ip6"); set "cniVersion" of the plugin list to 0.3.0 or newer',
    )
  }
  const prev = checked('prevResult', value, { cniVersion: VERSION })
  for (const name of ['interfaces', 'ips', 'routes'] as const) {
    const entries = prev[name]
    delete prev[name]
    if (entries === undefined || entries === null) continue
    if (!Array.isArray(entries)) fail(`prevResult.${name}`, 'a list', entries)
    const [required] = Object.keys(KNOWN[name])
    prev[name] = entries.map((entry, i) => checked(`prevResult.${name}[${i}]`, entry, KNOWN[name], required))
  }
  if (prev.dns === null) delete prev.dns
  if (prev.dns !== undefined) prev.dns = checked('prevResult.dns', prev.dns, KNOWN_DNS)
  try {
    // What cannot be written as JSON again must be found before anything is changed. The extra levels stand for the
    // Result around it.
    JSON.stringify([[[[prev]]]])
  } catch {
    throw new CniError(Code.decodingFailure, 'prevResult: nested too deeply')
  }
  return prev
}

/**
 * The gateway of each family that the plugin before us reported for a NIC: one of an address that is said to be on this NIC, else
 * one of an address of which nobody says where it is.
 */
export function gatewaysOf({ ips = [], interfaces = [] }: PrevResult, ifname: string): Partial<Record<Family, string>> {
  const gateways: Partial<Record<Family, string>> = {}
  const nicOf = ({ interface: index }: Json) => (typeof index === 'number' ? interfaces[index]?.name : undefined)
  const here = ips.filter((ip) => nicOf(ip) === ifname)
  const anywhere = ips.filter((ip) => nicOf(ip) === undefined)
  for (const { gateway } of [...here, ...anywhere]) {
    const address = typeof gateway === 'string' ? parseAddress(gateway) : undefined
    if (address) gateways[address.family] ??= address.address
  }
  return gateways
}

/** The MAC address that was reported of a NIC of the pod. */
export function macOf({ interfaces = [] }: PrevResult, ifname: string): string | undefined {
  const nic = interfaces.find(({ name, sandbox }) => name === ifname && typeof sandbox === 'string' && sandbox !== '')
  // Of other notations nobody knows.
  return typeof nic?.mac === 'string' && /^(?:[\da-f]{2}:){5}[\da-f]{2}$/i.test(nic.mac) ? nic.mac : undefined
}

/** A copy of `value` whose known keys are what they must be, or absent. */
function checked(
  path: string,
  value: unknown,
  known: Record<string, Test>,
  required?: string,
): Record<string, unknown> {
  if (!isObject(value)) fail(path, 'an object', value)
  const copy = { ...value }
  for (const key of Object.keys(value)) {
    const test = Object.hasOwn(known, key) ? known[key] : undefined
    if (!test) continue
    if (copy[key] === null) delete copy[key]
    else if (!test[0](copy[key])) fail(`${path}.${key}`, test[1], copy[key])
  }
  if (required !== undefined && copy[required] === undefined)
    fail(`${path}.${required}`, known[required]?.[1] ?? '', value[required])
  return copy
}

function fail(path: string, must: string, value: unknown): never {
  throw new CniError(
    Code.invalidConfig,
    `${path}: must be ${must}, is ${value === undefined ? 'missing' : quote(value)}`,
  )
}

/** What ADD did, as far as a Result tells it. */
export interface Changes {
  /** The families whose default routes were removed. */
  readonly removed: readonly Family[]
  readonly routes: readonly AppliedRoute[]
  /** Default routes of this NIC that came or stayed. */
  readonly gateways: readonly Route[]
  /** What the kernel had before. */
  readonly before: readonly Route[]
}

/**
 * The Result of ADD: `prev` in the shape of `version`, with the changes; without any, just that.
 *
 * Routes of other tables than main are left out. Plugins before us look for every route of the final Result in the main
 * table when they are asked to CHECK (containernetworking/plugins 1.9 pkg/ip ValidateExpectedRoute).
 * @throws CniError 7 when `prev` has a route that `version` cannot tell of
 */
export function buildResult(version: CniVersion, prev: PrevResult, changes?: Changes): Record<string, unknown> {
  const result: Record<string, unknown> = { ...prev, cniVersion: version }
  if (prev.interfaces) result.interfaces = prev.interfaces.map((entry) => interfaceFor(version, entry))
  if (prev.ips) result.ips = prev.ips.map((entry) => ipFor(version, entry))

  const routes = (prev.routes ?? []).map((entry, i) => routeFor(version, entry, i))
  const { removed = [], routes: applied = [], gateways = [] } = changes ?? {}
  const ours = applied.flatMap((one) => routeEntry(version, one))
  const added = [...ours, ...gateways.flatMap((route) => gatewayEntries(version, route))]
  const places = new Set([...ours.map(placeOf), ...gateways.map(gatewayPlace)])
  const kept = routes.filter(
    (entry) =>
      !changes ||
      (!isOnlyABlock(entry, prev, changes.before) && !isRemovedDefault(entry, removed) && !places.has(placeOf(entry))),
  )
  if (prev.routes || added.length > 0) result.routes = [...kept, ...added]
  return result
}

function routeEntry(version: CniVersion, { configured, route }: AppliedRoute): (Json & { readonly dst: string })[] {
  if (route.table !== MAIN_TABLE) return []
  const { dst, gw } = route
  const hop = gw === undefined ? { dst } : { dst, gw }
  if (version !== '1.1.0') return [hop]
  // Also what was learnt.
  const { mtu, advmss } = route
  return [
    { ...hop, ...configured.given, ...(mtu === undefined ? {} : { mtu }), ...(advmss === undefined ? {} : { advmss }) },
  ]
}

/** One for each next hop. The metric is told where it is another than that of a default route that somebody else made. */
function gatewayEntries(
  version: CniVersion,
  { family, dst, gw, nexthops, priority, mtu, advmss }: Route,
): (Json & { readonly dst: string })[] {
  const metrics =
    version === '1.1.0'
      ? {
          ...(priority === DEFAULT_PRIORITY[family] ? {} : { priority }),
          ...(mtu === undefined ? {} : { mtu }),
          ...(advmss === undefined ? {} : { advmss }),
        }
      : {}
  const gws = nexthops ? nexthops.map((hop) => hop.gw) : [gw]
  return gws.map((one) => ({ dst, ...(one === undefined ? {} : { gw: one }), ...metrics }))
}

function interfaceFor(version: CniVersion, entry: Json): Json {
  return version === '1.1.0' ? entry : without(entry, SINCE_1_1.interface)
}

/** `ips[].version` is there in 0.x and only there. */
function ipFor(version: CniVersion, entry: Json & { readonly address: string }): Json {
  if (!version.startsWith('0.')) return without(entry, ['version'])
  return { version: String(familyOf(entry.address)), ...entry }
}

function routeFor(
  version: CniVersion,
  entry: Json & { readonly dst: string },
  index: number,
): Json & { readonly dst: string } {
  if (version === '1.1.0') return entry
  const { table } = entry
  if (version.startsWith('0.') && table !== undefined && table !== 0 && table !== MAIN_TABLE) {
    throw new CniError(
      Code.invalidConfig,
      `prevResult.routes[${index}].table: CNI ${version} has no routes of table ${String(table)}; set "cniVersion" of the plugin list to 1.1.0`,
    )
  }
  return without(entry, SINCE_1_1.route) as Json & { readonly dst: string }
}

/**
 * Calico 3.32 reports a route for the pod's block of addresses, `10.199.3.153/26`, which it never makes. It is known by its shape: no
 * gateway, no such route in the kernel, and host bits; or, where the pod has got the first address of the block, nothing but
 * `dst`, shorter than an address and around one that the Result has at full length.
 */
function isOnlyABlock(entry: Json & { readonly dst: string }, prev: PrevResult, before: readonly Route[]): boolean {
  const prefix = parsePrefix(entry.dst)
  if (!prefix) return false
  if (entry.gw !== undefined || before.some(({ dst }) => dst === prefix.network)) return false
  if (`${prefix.address}/${prefix.length}` !== prefix.network) return true
  if (Object.keys(entry).length > 1 || prefix.length >= LENGTH[prefix.family] || prefix.length === 0) return false
  const isAround = ({ address }: { readonly address: string }) => {
    const own = parsePrefix(address)
    return own?.length === LENGTH[prefix.family] && isWithin(own.address, prefix.network)
  }
  return (prev.ips ?? []).some(isAround)
}

/** Of an address. */
const LENGTH = { 4: 32, 6: 128 } as const

function isRemovedDefault(entry: Json & { readonly dst: string }, removed: readonly Family[]): boolean {
  const { dst, table } = entry
  if (table !== undefined && table !== 0 && table !== MAIN_TABLE) return false
  const network = parsePrefix(dst)?.network
  return removed.some((family) => network === DEFAULT_DST[family])
}

/** As a plugin before us, which knows nothing of metrics, tells of it. */
function gatewayPlace({ dst, priority, family }: Route): string {
  return placeOf({ dst, ...(priority === DEFAULT_PRIORITY[family] ? {} : { priority }) })
}

function placeOf(entry: Json & { readonly dst: string }): string {
  const { dst, table, priority } = entry
  return `${parsePrefix(dst)?.network ?? dst} ${table || MAIN_TABLE} ${priority ?? ''}`
}

function without(entry: Json, keys: readonly string[]): Json {
  if (!keys.some((key) => key in entry)) return entry
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !keys.includes(key)))
}
