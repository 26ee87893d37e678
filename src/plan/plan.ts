import type { AppliedRoute } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { CniError, Code } from '../errors.ts'
import { nicNames } from '../net/link.ts'
import {
  devicesOf,
  GATEWAY_PROTOCOL,
  type Op,
  type Origin,
  PROTOCOL,
  placeOf,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  type Snapshot,
  soleDevice,
} from '../net/route.ts'
import { planDefaults } from './defaults.ts'
import { planDefaultsDel } from './defaults-del.ts'
import { afterwards } from './effects.ts'
import { type NextHopLookup, nextHopNetworks, planEntries } from './entries.ts'
import type { GatewayAddresses } from './gateway.ts'
import { kubevirtProblems } from './kubevirt.ts'
import { type NextHops, nextHops, noNextHops } from './next-hop.ts'
import { presentFamilies, skippedWarnings } from './present-families.ts'
import type { Problem } from './problem.ts'
import { defaultEntries, planTable } from './source-routing.ts'
import { removeRules } from './source-rules.ts'

/** What ADD does to a pod. Without `ops` and `problems`, the pod is as configured. */
export interface Plan {
  readonly ops: readonly Op[]
  /** Every configured route as it will be in the kernel, in the order of the configuration. */
  readonly routes: readonly AppliedRoute[]
  /** The default routes on this NIC that `ovnGateway` wants. */
  readonly gateways: readonly Route[]
  /** Why the configuration cannot be carried out in this pod. If there are any, `ops` must not be. */
  readonly problems: readonly Problem[]
  /** What the operator should know, although nothing fails. */
  readonly warnings: readonly string[]
}

/** What prevResult says. */
export interface Reported {
  readonly gatewayAddresses?: GatewayAddresses
  /** For CHECK and repair: the next hops that ADD reported. They count more than what our own routes show. */
  readonly hops?: NextHops
  /** For repair: the next hops that count if neither a route nor this Result tells. */
  readonly otherwise?: NextHops
}

const UNKNOWN: NextHops = () => undefined

/**
 * The operations that make a pod's routes what the configuration says. Additions come before deletions: at no moment is
 * a route missing that was there before and is wanted after.
 * @throws CniError 4 if the pod has no such interface
 */
export function planAdd(
  config: Config,
  ifname: string,
  snapshot: Snapshot,
  { gatewayAddresses: reported = {}, hops = UNKNOWN, otherwise }: Reported = {},
): Plan {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic)
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_IFNAME: the pod has no interface ${ifname}; it has ${nicNames(snapshot.links)}`,
    )

  const present = presentFamilies(config, ifname, snapshot)
  const defaults = planDefaults(config, ifname, snapshot, reported)
  const table = config.sourceRouting && defaultEntries(config, nic)
  const known = table ? { ...config, routes: [...config.routes, ...table.entries] } : config
  const lookup: NextHopLookup = {
    learn: nextHops(known, snapshot, { hops, otherwise, gateways: defaults.gateways }),
    containsNextHop: nextHopNetworks(snapshot),
    noNextHop: noNextHops(snapshot),
  }
  const { routes, additions, deletions, problems } = planEntries(present.routes, ifname, snapshot, lookup)
  const own = table && planTable(table, { config, nic, snapshot, lookup, routes, gateways: reported })
  const ops: Op[] = own
    ? [...additions, ...own.additions, ...defaults.ops, ...deletions, ...own.deletions]
    : [...additions, ...defaults.ops, ...deletions]
  problems.push(...(own?.problems ?? []), ...defaults.problems)
  if (config.kubevirt && problems.length === 0) problems.push(...kubevirtProblems(afterwards(snapshot, ops), ifname))
  const gateways = defaults.gateways.filter((route) => soleDevice(route) === ifname)
  const skipped = skippedWarnings(config, present.routes, defaults.skipped, ifname)
  return { ops, routes, gateways, problems, warnings: [...skipped, ...defaults.warnings] }
}

/**
 * The operations that remove our routes from a NIC: those on it, and those that this configuration put on others with
 * `dev`.
 * @param config called only if there are routes of ours on other NICs
 */
export function planDel(
  config: () => Pick<Config, 'routes' | 'gateway' | 'sourceRouting'>,
  ifname: string,
  snapshot: Snapshot,
): Op[] {
  const [here, elsewhere] = [[] as Route[], [] as Route[]]
  let others = false
  for (const route of snapshot.routes) {
    if (route.protocol === PROTOCOL && !route.presumed)
      (devicesOf(route).includes(ifname) ? here : elsewhere).push(route)
    else
      others ||=
        (route.protocol === GATEWAY_PROTOCOL || route.protocol === RESTORED_PROTOCOL) && soleDevice(route) !== ifname
  }
  const { routes, gateway } = others || elsewhere.length > 0 ? config() : { routes: [] }
  const nicAndPlace = (route: { readonly dev?: string } & Parameters<typeof placeOf>[0]) =>
    `${route.dev} ${placeOf(route)}`
  const configured = new Set(routes.filter(({ dev }) => dev !== undefined).map(nicAndPlace))
  const ours = [...here, ...elsewhere.filter((route) => configured.has(nicAndPlace(route)))]
  const origin: Origin = { key: 'DEL', path: 'DEL' }
  return [
    ...planDefaultsDel(gateway, ifname, snapshot),
    ...(snapshot.rules ? removeRules(ifname, tablesOf(config()), snapshot, origin) : []),
    ...ours.map((route): RouteOp => ({ op: 'del', route, origin })),
  ]
}

function tablesOf({ sourceRouting }: Pick<Config, 'sourceRouting'>): number[] {
  return sourceRouting?.table === undefined ? [] : [sourceRouting.table]
}
