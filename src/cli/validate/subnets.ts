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

/** What of a VPC the routes of another NIC of the same pod take away: `routes[0] (10.0.0.0/8) covers …`. */
export type Taken = (vpc: InVpc, entries: readonly Entry[]) => readonly string[]

/** A network of the VPC, with the entries of its own that may lead packets there all the same. */
interface InVpc {
  readonly provider: string
  readonly entries: readonly Entry[]
}

/** Looks at each pair of a VPC and a network once, however many pods have both. */
export function takenFrom(subnets: readonly Subnet[]): Taken {
  const byProvider = Map.groupBy(subnets, ({ provider }) => provider)
  const byVpc = Map.groupBy(subnets, ({ vpc }) => vpc)
  const known = new Map<readonly Entry[], Map<readonly Entry[], readonly string[]>>()
  return (vpc, entries) => {
    const ofEntries = known.get(entries) ?? new Map<readonly Entry[], readonly string[]>()
    known.set(entries, ofEntries)
    const before = ofEntries.get(vpc.entries)
    if (before) return before
    const own = byProvider.get(vpc.provider) ?? []
    const vpcs = new Set(own.map(({ vpc }) => vpc))
    const inVpcs = [...vpcs].flatMap((name) => (name === OWN_VPC ? [] : (byVpc.get(name) ?? [])))
    const taken = covered(own, inVpcs, { entries, against: vpc.entries })
    ofEntries.set(vpc.entries, taken)
    return taken
  }
}

function covered(
  own: readonly Subnet[],
  inVpcs: readonly Subnet[],
  { entries, against }: { readonly entries: readonly Entry[]; readonly against: readonly Entry[] },
): string[] {
  const mine = new Set(own)
  const back = against.flatMap(mainRoutes).map(([, dst]) => dst)
  /** A narrower route of the VPC's own NIC wins. */
  const isKept = (cidr: string, dst: string) =>
    back.some((one) => one !== dst && isWithin(cidr, one) && isWithin(one, dst))
  return entries.flatMap(mainRoutes).flatMap(([key, dst]) => {
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

function mainRoutes({ conf: { routes } }: Entry): [string, string][] {
  const all: unknown[] = Array.isArray(routes) ? routes : []
  return all.flatMap((route, index): [string, string][] => {
    if (!isObject(route) || typeof route.dst !== 'string' || 'dev' in route) return []
    const prefix = parsePrefix(route.dst)
    return prefix && (route.table ?? MAIN_TABLE) === MAIN_TABLE ? [[`routes[${index}]`, prefix.network]] : []
  })
}
