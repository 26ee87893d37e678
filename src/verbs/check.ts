import type { Request } from '../cni/request.ts'
import { gatewaysOf, macOf, type PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { CniError, Code, listed } from '../errors.ts'
import { readRoutesAndWays } from '../kernel/change.ts'
import { type Look, lookAt } from '../kernel/look.ts'
import type { WithNetns } from '../kernel/netns.ts'
import { routeText } from '../net/iproute2.ts'
import {
  isDemoted,
  MAIN_TABLE,
  placesOf,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  type Snapshot,
} from '../net/route.ts'
import { bridgedName } from '../plan/kubevirt.ts'
import { neededToAdd } from '../plan/needed.ts'
import type { Hop } from '../plan/next-hop.ts'
import { planAdd } from '../plan/plan.ts'
import { problemText } from '../plan/problem.ts'
import { astray, probesOf } from '../plan/way-out.ts'
import { inputsOf } from './inputs.ts'
import type { Outcome } from './outcome.ts'
import { refuseUnwritable } from './refusals.ts'

/**
 * Compares the pod with the configuration: it is right exactly if ADD would find nothing to do. Routes that others added
 * are theirs.
 * @throws CniError 110 with every difference
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#check-check-containers-networking-is-as-expected
 */
export async function check(request: Request & { verb: 'CHECK' }, withNetns: WithNetns): Promise<Outcome> {
  const found = await findDifferences(request, withNetns)
  if (found.length === 0) return {}
  throw new CniError(
    Code.checkFailed,
    `${request.ifname}: routes differ from the configuration`,
    listed(found).join('; '),
  )
}

/** Every difference by itself; with dryRun there is none to find. @param overhear for who wants to hear the answers, too */
export async function findDifferences(
  request: Pick<Request & { verb: 'CHECK' }, 'conf' | 'ifname' | 'netns'>,
  withNetns: WithNetns,
  overhear: (look: Look<Snapshot>) => Look<Snapshot> = (look) => look,
): Promise<readonly string[]> {
  const { config, prev } = inputsOf(request.conf)
  const { ifname } = request
  refuseUnwritable(ifname)
  const bounds = neededToAdd(config, ifname, prev)
  return withNetns(request.netns, LIMIT_MS, async (netns) => {
    const look = overhear(lookAt(bounds, { links: true }))
    const probes = probesOf(config)
    const addresses = [...new Set(probes.map(({ address }) => address))]
    const { heard: snapshot, ways } = await readRoutesAndWays(netns, look, addresses)
    if (config.dryRun) return []
    const found = differences(config, ifname, prev, snapshot)
    // What is missing goes astray as well, and has been told.
    return found.length > 0 || isBridged(snapshot, ifname) ? found : astray(probes, ways, snapshot, ifname)
  })
}

const LIMIT_MS = 20_000

function differences(config: Config, ifname: string, prev: PrevResult, snapshot: Snapshot): string[] {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic) return [`the pod has no interface ${ifname}`]
  if (isBridged(snapshot, ifname)) return []
  const mac = macOf(prev, ifname)
  if (mac !== undefined && nic.mac !== undefined && mac.toLowerCase() !== nic.mac)
    return [`${ifname}: is another interface than the one of the Result: its MAC address is ${nic.mac}, not ${mac}`]
  const { ops, problems } = planAdd(config, ifname, snapshot, {
    gateways: gatewaysOf(prev, ifname),
    hops: hopsOf(prev, config, prev.cniVersion === '1.1.0'),
  })
  // With `demote`, a default that nobody restored is as ADD left it, too: Calico's chain need not ask for it.
  const either = ({ origin, route }: RouteOp) =>
    origin.key === 'defaultRoute' &&
    config.defaultRoute[route.family] === 'demote' &&
    (isDemoted(route) || route.protocol === RESTORED_PROTOCOL)
  const left = ops.filter((op) => !either(op))
  const inPlace = placesOf(snapshot.routes)
  return [...problems.map(problemText), ...left.map((op) => difference(op, inPlace))]
}

/**
 * KubeVirt's bridge binding moves the NIC into a bridge, by another name, and leaves a dummy of its own that has addresses and
 * no routes.
 */
function isBridged({ links }: Snapshot, ifname: string): boolean {
  const has = (name: string, kind?: string) =>
    links.some((link) => link.ifname === name && (kind === undefined || link.kind === kind))
  return has(ifname, 'dummy') && has(bridgedName(ifname))
}

/**
 * The next hops that ADD reported, of the destinations that stand in the configuration once: the Result does not tell
 * more apart. From CNI 1.1.0 on it tells the metrics of the route as well, or that it has none.
 */
function hopsOf(prev: PrevResult, { routes }: Config, complete: boolean): Map<string, Hop> {
  const times = new Map<string, number>()
  for (const { dst } of routes) times.set(dst, (times.get(dst) ?? 0) + 1)
  const once = new Set(
    routes.filter(({ dst, table }) => table === MAIN_TABLE && times.get(dst) === 1).map(({ dst }) => dst),
  )
  const hopIn = ({ gw, mtu, advmss }: Readonly<Record<string, unknown>>): Hop => ({
    gw: typeof gw === 'string' ? gw : undefined,
    ...(complete ? { mtu: numberOr(mtu), advmss: numberOr(advmss) } : {}),
  })
  return new Map((prev.routes ?? []).flatMap((route) => (once.has(route.dst) ? [[route.dst, hopIn(route)]] : [])))
}

function numberOr(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

/** Of what is in the place of a route the first counts. */
const MOST_PRESENT = 5

function difference({ op, route, origin: { path } }: RouteOp, inPlace: (route: Route) => readonly Route[]): string {
  switch (op) {
    case 'add':
    case 'append':
    case 'prepend':
      return `${path}: missing: ${routeText(route)}`
    case 'replace': {
      const present = inPlace(route).map(routeText)
      return `${path}: expected ${routeText(route)}, found ${listed(present, MOST_PRESENT).join(', ')}`
    }
    case 'del':
      return `${path}: not removed: ${routeText(route)}`
    default:
      throw op satisfies never
  }
}
