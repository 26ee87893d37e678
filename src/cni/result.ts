import { CniError, Code, quote } from '../errors.ts'
import type { Family } from '../net/address.ts'
import { familyOf, isWithin, parseAddress, parsePrefix } from '../net/address.ts'
import { attributesIn, IN_RESULT } from '../net/attributes.ts'
import { DEFAULT_DST, DEFAULT_PRIORITY, MAIN_TABLE, type Route } from '../net/route.ts'
import { type CniVersion, isObject, SUPPORTED_VERSIONS } from './request.ts'

type Json = Readonly<Record<string, unknown>>

/** The Result of the previous plugins. Its shape is checked; every unknown key in it is kept. */
export interface PrevResult {
  readonly interfaces?: readonly Json[]
  readonly ips?: readonly (Json & { readonly address: string })[]
  readonly routes?: readonly (Json & { readonly dst: string })[]
  readonly [key: string]: unknown
}

/** One of our routes as it is in the kernel, with the configured entry it comes from. */
export interface AppliedRoute {
  /** The optional CNI 1.1 keys of the entry, exactly as written: the Result repeats them. */
  readonly configured: { readonly given: Json }
  readonly route: Route
}

// Keys new in CNI 1.1.0. Calico prints interfaces[].mtu with 1.0.0 as well, and strict readers of 1.0.0 refuse it.
const SINCE_1_1 = { interface: ['mtu', 'socketPath', 'pciID'], route: [...IN_RESULT, 'priority', 'table', 'scope'] }

type TypeCheck = readonly [ok: (value: unknown) => boolean, must: string]

const isText = (value: unknown) => typeof value === 'string'
const TEXT: TypeCheck = [isText, 'a string']
const TEXTS: TypeCheck = [(value) => Array.isArray(value) && value.every(isText), 'a list of strings']
const INTEGER: TypeCheck = [(value) => Number.isInteger(value), 'an integer']
const ADDRESS: TypeCheck = [(value) => typeof value === 'string' && parseAddress(value) !== undefined, 'an IP address']
const PREFIX: TypeCheck = [
  (value) => typeof value === 'string' && parsePrefix(value) !== undefined,
  'an address with prefix length',
]
const VERSION: TypeCheck = [
  (value) => SUPPORTED_VERSIONS.some((version) => version === value),
  `one of ${SUPPORTED_VERSIONS.join(', ')}`,
]

const ATTRIBUTE_CHECKS: Record<string, TypeCheck> = Object.fromEntries(IN_RESULT.map((name) => [name, INTEGER]))

/**
 * The keys of a Result whose types the specification fixes. If one were wrong, a runtime would refuse our Result when
 * the pod is already changed. The first key of each object is required. null counts as absent: Go prints an empty slice
 * as null.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#add-success
 */
const KEYS = {
  interfaces: { name: TEXT, mac: TEXT, sandbox: TEXT, mtu: INTEGER, socketPath: TEXT, pciID: TEXT },
  ips: { address: PREFIX, gateway: ADDRESS, interface: INTEGER, version: TEXT },
  routes: { dst: PREFIX, gw: ADDRESS, ...ATTRIBUTE_CHECKS, priority: INTEGER, table: INTEGER, scope: INTEGER },
} as const satisfies Record<string, Record<string, TypeCheck>>
const DNS_KEYS: Record<string, TypeCheck> = { nameservers: TEXTS, domain: TEXT, search: TEXTS, options: TEXTS }

/**
 * `prevResult` of a configuration, without its nulls.
 * @throws CniError 7 with the key path if it is missing, or is not a Result of a version we support
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
    const [required] = Object.keys(KEYS[name])
    prev[name] = entries.map((entry, i) => checked(`prevResult.${name}[${i}]`, entry, KEYS[name], required))
  }
  if (prev.dns === null) delete prev.dns
  if (prev.dns !== undefined) prev.dns = checked('prevResult.dns', prev.dns, DNS_KEYS)
  try {
    // Printing must not fail once the pod is changed. The extra levels stand for the Result around it.
    JSON.stringify([[[[prev]]]])
  } catch {
    throw new CniError(Code.decodingFailure, 'prevResult: nested too deeply')
  }
  return prev
}

/**
 * The addresses of the gateways that the previous plugins reported for a NIC: for each family that of an address on this
 * NIC, else that of an address without an interface.
 */
export function gatewayAddressesOf(
  { ips = [], interfaces = [] }: PrevResult,
  ifname: string,
): Partial<Record<Family, string>> {
  const addresses: Partial<Record<Family, string>> = {}
  const nicOf = ({ interface: index }: Json) => (typeof index === 'number' ? interfaces[index]?.name : undefined)
  const here = ips.filter((ip) => nicOf(ip) === ifname)
  const anywhere = ips.filter((ip) => nicOf(ip) === undefined)
  for (const { gateway } of [...here, ...anywhere]) {
    const address = typeof gateway === 'string' ? parseAddress(gateway) : undefined
    if (address) addresses[address.family] ??= address.address
  }
  return addresses
}

/** The default route of the main table in a Result that has a gateway. */
export function reportedDefault(
  { routes = [] }: PrevResult,
  family: Family,
): { readonly gw: string; readonly priority: number } | undefined {
  for (const { dst, gw, table, priority } of routes) {
    if (table !== undefined && table !== 0 && table !== MAIN_TABLE) continue
    const address =
      parsePrefix(dst)?.network === DEFAULT_DST[family] && typeof gw === 'string' ? parseAddress(gw) : undefined
    if (address)
      return { gw: address.address, priority: (typeof priority === 'number' && priority) || DEFAULT_PRIORITY[family] }
  }
  return undefined
}

/** The MAC address that the previous plugins reported for a NIC of the pod. */
export function macOf({ interfaces = [] }: PrevResult, ifname: string): string | undefined {
  const nic = interfaces.find(({ name, sandbox }) => name === ifname && typeof sandbox === 'string' && sandbox !== '')
  // Other notations cannot be compared with the kernel's.
  return typeof nic?.mac === 'string' && /^(?:[\da-f]{2}:){5}[\da-f]{2}$/i.test(nic.mac) ? nic.mac : undefined
}

/** A copy of `value` without nulls at its known keys. @throws CniError 7 if one of those has the wrong type */
function checked(
  path: string,
  value: unknown,
  known: Record<string, TypeCheck>,
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
    value === undefined ? `${path}: missing; must be ${must}` : `${path}: must be ${must}, is ${quote(value)}`,
  )
}

/** What ADD changed, as far as a Result can express it. */
export interface Changes {
  /** The families whose default routes were removed. */
  readonly removed: readonly Family[]
  readonly routes: readonly AppliedRoute[]
  /** The default routes of this NIC that `ovnGateway` made or kept. */
  readonly gateways: readonly Route[]
  /** The kernel's routes before ADD. */
  readonly before: readonly Route[]
}

/**
 * The Result of ADD: `prev` in the shape of `version`, with the changes. Without `changes`, only the shape is changed.
 *
 * Routes of tables other than main are left out: on CHECK, the previous plugins look for every route of the final
 * Result in the main table (containernetworking/plugins 1.9 pkg/ip ValidateExpectedRoute).
 * @throws CniError 7 if `prev` has a route that `version` cannot express
 */
export function buildResult(version: CniVersion, prev: PrevResult, changes?: Changes): Record<string, unknown> {
  const result: Record<string, unknown> = { ...prev, cniVersion: version }
  if (prev.interfaces) result.interfaces = prev.interfaces.map((entry) => interfaceFor(version, entry))
  if (prev.ips) result.ips = prev.ips.map((entry) => ipFor(version, entry))

  const routes = (prev.routes ?? []).map((entry, i) => routeFor(version, entry, i))
  const { removed = [], routes: applied = [], gateways = [] } = changes ?? {}
  const ours = applied.flatMap((one) => routeEntry(version, one))
  const added = [...ours, ...gateways.flatMap((route) => gatewayEntries(version, route))]
  const places = new Set([...ours.map(entryPlace), ...gateways.map(gatewayPlace)])
  const kept = routes.filter(
    (entry) =>
      !changes ||
      (!isBlockRoute(entry, prev, changes.before) &&
        !isRemovedDefault(entry, removed) &&
        !places.has(entryPlace(entry))),
  )
  if (prev.routes || added.length > 0) result.routes = [...kept, ...added]
  return result
}

function routeEntry(version: CniVersion, { configured, route }: AppliedRoute): (Json & { readonly dst: string })[] {
  if (route.table !== MAIN_TABLE) return []
  const { dst, gw } = route
  const hop = gw === undefined ? { dst } : { dst, gw }
  if (version !== '1.1.0') return [hop]
  return [{ ...hop, ...reportedAttributes(route), ...configured.given }]
}

/** Those that the route learnt from its next hop are reported as well. */
function reportedAttributes({ attributes = {} }: Route): Json {
  return { ...attributesIn(attributes, IN_RESULT) }
}

/** One entry for each next hop. The metric is left out where it is the default one. */
function gatewayEntries(version: CniVersion, route: Route): (Json & { readonly dst: string })[] {
  const { family, dst, gw, nexthops, priority } = route
  const metrics =
    version === '1.1.0'
      ? { ...(priority === DEFAULT_PRIORITY[family] ? {} : { priority }), ...reportedAttributes(route) }
      : {}
  const gws = nexthops ? nexthops.map((hop) => hop.gw) : [gw]
  return gws.map((one) => ({ dst, ...(one === undefined ? {} : { gw: one }), ...metrics }))
}

function interfaceFor(version: CniVersion, entry: Json): Json {
  return version === '1.1.0' ? entry : without(entry, SINCE_1_1.interface)
}

/** `ips[].version` exists only in 0.x, and is required there. */
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
      `prevResult.routes[${index}].table: is ${String(table)}, which CNI ${version} cannot express; set "cniVersion" of the plugin list to 1.1.0`,
    )
  }
  return without(entry, SINCE_1_1.route) as Json & { readonly dst: string }
}

/**
 * Calico 3.32 reports a route to the pod's block of addresses, `10.199.3.153/26`, which it never makes. We know it by
 * its shape: no gateway, no such route in the kernel, and host bits. If the pod has the block's first address there
 * are no host bits. Then we know it as an entry with only `dst` that contains one of the pod's addresses (/32 or /128).
 */
function isBlockRoute(entry: Json & { readonly dst: string }, prev: PrevResult, before: readonly Route[]): boolean {
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

/** Prefix length of one address. */
const LENGTH = { 4: 32, 6: 128 } as const

function isRemovedDefault(entry: Json & { readonly dst: string }, removed: readonly Family[]): boolean {
  const { dst, table } = entry
  if (table !== undefined && table !== 0 && table !== MAIN_TABLE) return false
  const network = parsePrefix(dst)?.network
  return removed.some((family) => network === DEFAULT_DST[family])
}

/** The place of a default route as a previous plugin reports it: such plugins know nothing of metrics. */
function gatewayPlace({ dst, priority, family }: Route): string {
  return entryPlace({ dst, ...(priority === DEFAULT_PRIORITY[family] ? {} : { priority }) })
}

function entryPlace(entry: Json & { readonly dst: string }): string {
  const { dst, table, priority } = entry
  return `${parsePrefix(dst)?.network ?? dst} ${table || MAIN_TABLE} ${priority ?? ''}`
}

function without(entry: Json, keys: readonly string[]): Json {
  if (!keys.some((key) => key in entry)) return entry
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !keys.includes(key)))
}
