import type { Request } from '../cni/request.ts'
import { gatewayAddressesOf, macOf, type PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { CniError, Code, listed } from '../errors.ts'
import { readRoutesAndLookUp } from '../kernel/change.ts'
import { type Look, lookAt } from '../kernel/look.ts'
import { IN_RESULT } from '../net/attributes.ts'
import { routeText } from '../net/iproute2.ts'
import {
  isDemoted,
  MAIN_TABLE,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  type Snapshot,
  sharingPlace,
} from '../net/route.ts'
import { bridgedName } from '../plan/kubevirt.ts'
import { neededToAdd } from '../plan/needed.ts'
import type { Via } from '../plan/next-hop.ts'
import { probesOf, strayPackets } from '../plan/packets.ts'
import { planAdd } from '../plan/plan.ts'
import { problemText } from '../plan/problem.ts'
import { inputsOf } from './inputs.ts'
import type { Outcome } from './outcome.ts'
import type { Outside } from './outside.ts'
import { refuseUnwritable } from './refusals.ts'

/**
 * Compares the pod with the configuration: all is well if ADD would find nothing to do. Routes that others added are
 * none of our business.
 * @throws CniError 110 with every difference
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#check-check-containers-networking-is-as-expected
 */
export async function check(request: Request & { verb: 'CHECK' }, outside: Outside): Promise<Outcome> {
  const found = await findDifferences(request, outside)
  if (found.length === 0) return {}
  throw new CniError(
    Code.checkFailed,
    `${request.ifname}: routes differ from the configuration`,
    listed(found).join('; '),
  )
}

/** The differences one by one; none with dryRun. @param overhear wraps the look, to hear ip(8)'s answers as well */
export async function findDifferences(
  request: Pick<Request & { verb: 'CHECK' }, 'conf' | 'ifname' | 'netns'>,
  { withNetns, readSet }: Outside,
  overhear: (look: Look<Snapshot>) => Look<Snapshot> = (look) => look,
): Promise<readonly string[]> {
  const { config, prev } = inputsOf(request.conf, readSet)
  const { ifname } = request
  refuseUnwritable(ifname)
  const bounds = neededToAdd(config, ifname, prev)
  return withNetns(request.netns, LIMIT_MS, async (netns) => {
    const look = overhear(lookAt(bounds, { links: true }))
    const probes = probesOf(config)
    const addresses = [...new Set(probes.map(({ address }) => address))]
    const { heard: snapshot, chosen } = await readRoutesAndLookUp(netns, look, addresses)
    if (config.dryRun) return []
    const found = differences(config, ifname, prev, snapshot)
    // Packets to a missing route go astray too, but that difference is already reported.
    return found.length > 0 || isBridged(snapshot, ifname) ? found : strayPackets(probes, chosen, snapshot, ifname)
  })
}

const LIMIT_MS = 20_000

function differences(config: Config, ifname: string, prev: PrevResult, snapshot: Snapshot): string[] {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic) return [`the pod has no interface ${ifname}`]
  if (isBridged(snapshot, ifname)) return []
  const mac = macOf(prev, ifname)
  if (mac !== undefined && nic.mac !== undefined && mac.toLowerCase() !== nic.mac)
    return [`${ifname}: not the interface of the Result: its MAC address is ${nic.mac}, not ${mac}`]
  const { ops, problems } = planAdd(config, ifname, snapshot, {
    gatewayAddresses: gatewayAddressesOf(prev, ifname),
    hops: reportedHops(prev, config, prev.cniVersion === '1.1.0'),
  })
  // With `demote`, a default route that is still demoted is as ADD left it: nothing need ever restore it.
  const either = ({ origin, route }: RouteOp) =>
    origin.key === 'defaultRoute' &&
    config.defaultRoute[route.family] === 'demote' &&
    (isDemoted(route) || route.protocol === RESTORED_PROTOCOL)
  const left = ops.filter((op) => !either(op))
  const inPlace = sharingPlace(snapshot.routes)
  return [...problems.map(problemText), ...left.map((op) => difference(op, inPlace))]
}

/**
 * KubeVirt's bridge binding moves the NIC into a bridge under another name. In its place it leaves a dummy interface
 * that has addresses but no routes.
 */
function isBridged({ links }: Snapshot, ifname: string): boolean {
  const has = (name: string, kind?: string) =>
    links.some((link) => link.ifname === name && (kind === undefined || link.kind === kind))
  return has(ifname, 'dummy') && has(bridgedName(ifname))
}

/**
 * The next hops that ADD reported, by destination. Destinations that are configured more than once are left out: the
 * Result does not tell their routes apart. Since CNI 1.1.0 (`complete`) it also reports some attributes, or that the route
 * has none.
 */
function reportedHops(prev: PrevResult, { routes }: Config, complete: boolean): Map<string, Via> {
  const times = new Map<string, number>()
  for (const { dst } of routes) times.set(dst, (times.get(dst) ?? 0) + 1)
  const once = new Set(
    routes.filter(({ dst, table }) => table === MAIN_TABLE && times.get(dst) === 1).map(({ dst }) => dst),
  )
  const hopIn = (entry: Readonly<Record<string, unknown>>): Via => ({
    gw: typeof entry.gw === 'string' ? entry.gw : undefined,
    ...(complete
      ? { attributes: Object.fromEntries(IN_RESULT.map((name) => [name, optionalNumber(entry[name])])) }
      : {}),
  })
  return new Map((prev.routes ?? []).flatMap((route) => (once.has(route.dst) ? [[route.dst, hopIn(route)]] : [])))
}

function optionalNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

/** How many of the routes in a place a message lists: the first is the one that counts. */
const MAX_PRESENT = 5

function difference({ op, route, origin: { path } }: RouteOp, inPlace: (route: Route) => readonly Route[]): string {
  switch (op) {
    case 'add':
    case 'append':
    case 'prepend':
      return `${path}: missing: ${routeText(route)}`
    case 'replace': {
      const present = inPlace(route).map(routeText)
      return `${path}: expected ${routeText(route)}, found ${listed(present, MAX_PRESENT).join(', ')}`
    }
    case 'del':
      return `${path}: not removed: ${routeText(route)}`
    default:
      throw op satisfies never
  }
}
