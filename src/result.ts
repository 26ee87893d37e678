import type { Family } from './address.ts'
import { familyOf, parsePrefix } from './address.ts'
import type { ConfiguredRoute } from './config.ts'
import { CniError, Code } from './errors.ts'
import { type CniVersion, isObject } from './request.ts'
import { DEFAULT_DST, MAIN_TABLE, type Route } from './route.ts'

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
  readonly configured: ConfiguredRoute
  readonly route: Route
}

// What CNI 1.1.0 added. Calico prints interfaces[].mtu at 1.0.0 as well, and strict readers of 1.0.0 refuse it.
const SINCE_1_1 = { interface: ['mtu', 'socketPath', 'pciID'], route: ['mtu', 'advmss', 'priority', 'table', 'scope'] }

/**
 * `prevResult` of a configuration.
 * @throws CniError 7 with the key path, when it is absent or no Result of the versions we speak
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#success
 */
export function parsePrevResult(value: unknown): PrevResult {
  if (value === undefined || value === null) {
    throw new CniError(
      Code.invalidConfig,
      'prevResult: missing; x-calico-route changes the routes of a NIC that another plugin made: put it after that plugin (calico, kube-ovn, ...) in "plugins"',
    )
  }
  if (!isObject(value)) fail('prevResult', 'must be an object')
  if ('ip4' in value || 'ip6' in value)
    fail('prevResult', 'is of CNI 0.2.0 or older ("ip4", "ip6"); set "cniVersion" of the plugin list to 0.3.0 or newer')
  for (const name of ['interfaces', 'ips', 'routes'] as const) {
    const entries = value[name]
    if (entries === undefined || entries === null) continue // Go prints an empty slice as null
    if (!Array.isArray(entries)) fail(`prevResult.${name}`, 'must be an array')
    for (const [i, entry] of entries.entries()) checkEntry(name, `prevResult.${name}[${i}]`, entry)
  }
  try {
    // What cannot be written as JSON again must be found before anything is changed. The extra levels stand for the Result around it.
    JSON.stringify([[[[value]]]])
  } catch {
    throw new CniError(Code.decodingFailure, 'prevResult: nested too deeply')
  }
  return value
}

function checkEntry(name: 'interfaces' | 'ips' | 'routes', path: string, entry: unknown): void {
  if (!isObject(entry)) fail(path, 'must be an object')
  switch (name) {
    case 'interfaces':
      if (typeof entry.name !== 'string') fail(`${path}.name`, 'must be a string')
      return
    case 'ips':
      if (typeof entry.address !== 'string' || !parsePrefix(entry.address)) {
        fail(`${path}.address`, `must be an address with prefix length, is ${JSON.stringify(entry.address)}`)
      }
      return
    case 'routes':
      if (typeof entry.dst !== 'string') fail(`${path}.dst`, 'must be a string')
      return
    default:
      throw name satisfies never
  }
}

function fail(path: string, what: string): never {
  throw new CniError(Code.invalidConfig, `${path}: ${what}`)
}

/**
 * The Result of ADD: `prev` without the default routes of the families in `removed`, and with our routes, in the shape of `version`.
 * @throws CniError 7 when `prev` has a route that `version` cannot tell of
 */
export function buildResult(
  version: CniVersion,
  prev: PrevResult,
  removed: readonly Family[],
  ours: readonly AppliedRoute[],
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...prev, cniVersion: version }
  if (prev.interfaces) result.interfaces = prev.interfaces.map((entry) => interfaceFor(version, entry))
  if (prev.ips) result.ips = prev.ips.map((entry) => ipFor(version, entry))

  const added = ours
    // Before 1.1.0 a route cannot say its table, and would be taken for one of the main table.
    .filter(({ route }) => version === '1.1.0' || route.table === MAIN_TABLE)
    .map(({ configured, route }) => ({
      dst: route.dst,
      ...(route.gw === undefined ? {} : { gw: route.gw }),
      ...(version === '1.1.0' ? configured.given : {}),
    }))
  const places = new Set(added.map(placeOf))
  const kept = (prev.routes ?? []).filter(
    (entry, i) =>
      isPossible(entry.dst) && !isRemovedDefault(entry, removed) && !places.has(placeOf(routeFor(version, entry, i))),
  )
  if (kept.length > 0 || added.length > 0 || prev.routes) {
    result.routes = [...kept.map((entry, i) => routeFor(version, entry, i)), ...added]
  }
  return result
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
    fail(
      `prevResult.routes[${index}].table`,
      `CNI ${version} has no routes of table ${String(table)}; set "cniVersion" of the plugin list to 1.1.0`,
    )
  }
  return without(entry, SINCE_1_1.route) as Json & { readonly dst: string }
}

// Calico 3.32 reports the pod's address with the length of its IPAM block, `10.199.3.153/26`: no routing table holds such a route.
function isPossible(dst: string): boolean {
  const prefix = parsePrefix(dst)
  return prefix === undefined || `${prefix.address}/${prefix.length}` === prefix.network
}

function isRemovedDefault(entry: Json & { readonly dst: string }, removed: readonly Family[]): boolean {
  const { dst, table } = entry
  if (table !== undefined && table !== 0 && table !== MAIN_TABLE) return false
  const network = parsePrefix(dst)?.network
  return removed.some((family) => network === DEFAULT_DST[family])
}

function placeOf(entry: Json & { readonly dst: string }): string {
  const { dst, table, priority } = entry
  return `${parsePrefix(dst)?.network ?? dst} ${table || MAIN_TABLE} ${priority ?? ''}`
}

function without(entry: Json, keys: readonly string[]): Json {
  if (!keys.some((key) => key in entry)) return entry
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !keys.includes(key)))
}
