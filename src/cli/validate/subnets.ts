import { isObject } from '../../cni/request.ts'
import { listed } from '../../errors.ts'
import { isWithin, parseAddress, parsePrefix } from '../../net/address.ts'
import { MAIN_TABLE } from '../../net/route.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'
import type { Placed } from './position.ts'

/** A Subnet of Kube-OVN. */
export interface Subnet {
  readonly name: string
  readonly provider: string
  readonly vpc: string
  readonly cidrs: readonly string[]
}

/** What a Subnet has unless it says otherwise. */
const OWN_PROVIDER = 'ovn'
const OWN_VPC = 'ovn-cluster'
const MAX_NAMES = 10

export const isSubnet = ({ value }: Placed) =>
  isObject(value) &&
  value.kind === 'Subnet' &&
  typeof value.apiVersion === 'string' &&
  /^kubeovn\.io\//.test(value.apiVersion)

/** @see https://github.com/kubeovn/kube-ovn/blob/master/pkg/util/validator.go ValidateSubnet */
export function readSubnet({ value }: Placed, say: Say): Subnet {
  const { metadata, spec: written } = value as Record<string, unknown>
  const spec = isObject(written) ? written : {}
  const { name = '' } = isObject(metadata) ? metadata : {}
  const cidrs = wordsIn(spec.cidrBlock).flatMap((cidr) => parsePrefix(cidr)?.network ?? [])
  for (const gateway of wordsIn(spec.gateway)) {
    const { address } = parseAddress(gateway) ?? {}
    if (address === undefined || cidrs.length === 0 || cidrs.some((cidr) => isWithin(address, cidr))) continue
    say(
      'XCR404',
      ['spec', 'gateway'],
      `${gateway} is outside the cidrBlock ${cidrs.join(',')}, so Kube-OVN refuses the Subnet; write an address inside`,
    )
  }
  return { name: String(name), provider: textOr(spec.provider, OWN_PROVIDER), vpc: textOr(spec.vpc, OWN_VPC), cidrs }
}

const wordsIn = (list: unknown) => (typeof list === 'string' ? list.split(',').map((word) => word.trim()) : [])
const textOr = (written: unknown, otherwise: string) =>
  typeof written === 'string' && written !== '' ? written : otherwise

/** Reports an address of "ovnGateway" that no Subnet of the network has. @param subnets those of the network's provider */
export function checkGateways(entries: readonly Entry[], subnets: readonly Subnet[], say: Say): void {
  const cidrs = subnets.flatMap((one) => one.cidrs)
  if (cidrs.length === 0) return
  for (const [path, written] of entries.flatMap(gatewaysOf)) {
    const { address } = parseAddress(written) ?? {}
    if (address === undefined || cidrs.some((cidr) => isWithin(address, cidr))) continue
    const where = `${subnets.map(({ name }) => name).join(', ')} (${listed(cidrs, MAX_NAMES).join(', ')})`
    say('XCR406', path, `${written} is outside this network's Subnet ${where}; write its gateway, or "auto"`)
  }
}

/** The addresses in "ovnGateway" that are for the entry's own NIC. */
function gatewaysOf({ path, conf: { ovnGateway } }: Entry): [Path, string][] {
  if (typeof ovnGateway === 'string') return [[[...path, 'ovnGateway'], ovnGateway]]
  if (!isObject(ovnGateway) || 'dev' in ovnGateway) return []
  return (['ipv4', 'ipv6'] as const).flatMap((key): [Path, string][] => {
    const written = ovnGateway[key]
    return typeof written === 'string' ? [[[...path, 'ovnGateway', key], written]] : []
  })
}

/** Where a NIC of a pod leads, as seen from one that is in a VPC. */
export type Leads = 'into it' | 'away' | 'somewhere'

/** What of a VPC the routes of a network of the same pod take away: `routes[0] (10.0.0.0/8) covers …`. */
export type Taken = (vpc: InPod, other: InPod, leads: (dev: string) => Leads) => readonly string[]

/** A network of a pod. */
interface InPod {
  /** If Kube-OVN gives it its addresses. */
  readonly provider: string | undefined
  readonly entries: readonly Entry[]
}

/** Looks at each pair of a VPC and a network once, however many pods have both in the same way. */
export function takenFrom(subnets: readonly Subnet[]): Taken {
  const byProvider = Map.groupBy(subnets, ({ provider }) => provider)
  const byVpc = Map.groupBy(subnets, ({ vpc }) => vpc)
  const routes = new Map<readonly Entry[], MainRoutes>()
  const known = new Map<string, readonly string[]>()
  const routesOf = (entries: readonly Entry[]): MainRoutes => {
    const found = routes.get(entries) ?? { number: routes.size, ...mainRoutes(entries) }
    routes.set(entries, found)
    return found
  }
  return (vpc, other, leads) => {
    const [own, others] = [routesOf(vpc.entries), routesOf(other.entries)]
    const pair = [own.number, others.number, ...[...own.devs, ...others.devs].map(leads)].join()
    const before = known.get(pair)
    if (before) return before
    const mine = byProvider.get(vpc.provider ?? '') ?? []
    const vpcs = new Set(mine.map(({ vpc }) => vpc))
    const inVpcs = [...vpcs].flatMap((name) => (name === OWN_VPC ? [] : (byVpc.get(name) ?? [])))
    const without = other.provider === undefined ? 'away' : 'somewhere'
    const away = others.routes.filter(({ dev }) => (dev === undefined ? without : leads(dev)) === 'away')
    const back = [
      ...own.routes.filter(({ dev }) => dev === undefined || leads(dev) === 'into it'),
      ...others.routes.filter(({ dev }) => dev !== undefined && leads(dev) === 'into it'),
    ]
    const taken = covered(new Set(mine), inVpcs, away, back)
    known.set(pair, taken)
    return taken
  }
}

function covered(
  mine: ReadonlySet<Subnet>,
  inVpcs: readonly Subnet[],
  away: readonly MainRoute[],
  back: readonly MainRoute[],
): string[] {
  /** A narrower route through the VPC's own NIC wins. */
  const isKept = (cidr: string, wide: string) =>
    back.some(({ dst }) => dst !== wide && isWithin(cidr, dst) && isWithin(dst, wide))
  return away.flatMap(({ key, dst }) => {
    // The connected route wins over a wider one, so of its own subnet nothing is taken.
    const hit = inVpcs.find((subnet) =>
      subnet.cidrs.some(
        (cidr) => isWithin(dst, cidr) || (!mine.has(subnet) && isWithin(cidr, dst) && !isKept(cidr, dst)),
      ),
    )
    return hit
      ? [`${key} (${dst}) covers addresses of VPC ${hit.vpc}, in Subnet ${hit.name} (${hit.cidrs.join(', ')})`]
      : []
  })
}

interface MainRoute {
  readonly key: string
  readonly dst: string
  /** The NIC that it leads through, if that is written. */
  readonly dev: string | undefined
}

/** The routes that a network has in the main table, and the NICs that these name. */
interface MainRoutes {
  readonly number: number
  readonly routes: readonly MainRoute[]
  readonly devs: readonly string[]
}

function mainRoutes(entries: readonly Entry[]): Omit<MainRoutes, 'number'> {
  const routes = entries.flatMap(({ conf }) => {
    const all: unknown[] = Array.isArray(conf.routes) ? conf.routes : []
    return all.flatMap((route, index): MainRoute[] => {
      const { dst, dev, table = MAIN_TABLE } = isObject(route) ? route : {}
      const prefix = typeof dst === 'string' && table === MAIN_TABLE ? parsePrefix(dst) : undefined
      if (!prefix) return []
      return [{ key: `routes[${index}]`, dst: prefix.network, dev: typeof dev === 'string' ? dev : undefined }]
    })
  })
  return { routes, devs: [...new Set(routes.flatMap(({ dev }) => dev ?? []))] }
}

/** Whether a network has routes that may lead through another NIC. */
export const namesNics = (entries: readonly Entry[]): boolean =>
  entries.some(({ conf: { routes } }) => Array.isArray(routes) && routes.some((one) => isObject(one) && 'dev' in one))
