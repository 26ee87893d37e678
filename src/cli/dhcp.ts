import { listed } from '../errors.ts'
import { isWithin, parsePrefix } from '../net/address.ts'
import { DEFAULT_DST, MAIN_TABLE, type Route, type Snapshot } from '../net/route.ts'
import {
  type DhcpOffer,
  dhcpOffer,
  inDumpOrder,
  kubevirtProblems,
  ON_LINK,
  offeredAddress,
  unreachableInOrder,
} from '../plan/kubevirt.ts'

/** What KubeVirt's bridge binding would hand to a VM on a NIC by DHCP, and what to warn of. */
export interface DhcpPreview {
  /** Absent if KubeVirt could not start the VM. */
  readonly offer?: DhcpOffer
  readonly warnings: readonly string[]
}

/**
 * @param isUsed whether there is a VM; without one there is nothing to warn of
 * @returns undefined for a NIC without an IPv4 address: KubeVirt offers nothing there
 */
export function dhcpPreview(snapshot: Snapshot, ifname: string, isUsed: boolean): DhcpPreview | undefined {
  const address = offeredAddress(snapshot, ifname)
  if (address === undefined) return undefined
  const ipv4 = snapshot.routes.filter(({ family }) => family === 4)
  const offer = dhcpOffer(inDumpOrder(ipv4), ifname, address)
  if (!isUsed) return { ...(offer ? { offer } : {}), warnings: [] }
  const warnings = kubevirtProblems(snapshot, ifname).map(({ says }) => says)
  if (offer) warnings.push(...misled(offer, address), ...leftOut(ipv4, offer, ifname, address))
  return { ...(offer ? { offer } : {}), warnings }
}

/** What a guest makes of the offer that is not meant. */
function misled(offer: DhcpOffer, address: string): string[] {
  const late = unreachableInOrder(offer, address)
  const cut = offer.classlessRoutes.filter(isCutShort).map(({ dst }) => dst)
  return [
    ...(late.length > 0
      ? [
          `DHCP clients that apply routes in order refuse ${some(late)}: the route to the gateway comes later; ${FIRST_GATEWAY}`,
        ]
      : []),
    ...(cut.length > 0 ? [`dhcpcd 9 makes routes to single addresses of ${some(cut)}; ${FIRST_GATEWAY}`] : []),
  ]
}

/** dhcpcd 9 gives every on-link route the prefix length of its address, /32. */
export function isCutShort({ dst, gw }: DhcpOffer['classlessRoutes'][number]): boolean {
  return gw === ON_LINK && !dst.endsWith('/32')
}

/** What releases of KubeVirt do not hand over, although the newest does. */
function leftOut(routes: readonly Route[], { classlessRoutes }: DhcpOffer, ifname: string, address: string): string[] {
  const own = parsePrefix(address)?.address ?? ''
  const dsts = classlessRoutes.map(({ dst }) => dst).filter((dst) => dst !== DEFAULT_DST[4])
  const around = dsts.filter((dst) => isWithin(own, dst))
  const from = routes
    .filter(({ dev, table, src, dst }) => dev === ifname && table === MAIN_TABLE && src === own && dsts.includes(dst))
    .map(({ dst }) => dst)
  return [
    ...(around.length > 0
      ? [`KubeVirt 1.1 to 1.3 leave out ${some(around)}, which the VM's address is in; write it in cloud-init`]
      : []),
    ...(from.length > 0
      ? [`KubeVirt 1.0 leaves out ${some(from)}, whose source is the VM's address; remove "src"`]
      : []),
  ]
}

const MAX_NAMED = 10
const some = (dsts: readonly string[]) => listed(dsts, MAX_NAMED).join(', ')

/** The layout that every DHCP client takes that knows option 121. @see docs/kubevirt.md */
export const FIRST_GATEWAY =
  'lead it through an unused address that sorts before all prefixes: add {"dst": "10.0.0.1/32", "scope": "link"}, and write "gw": "10.0.0.1"'
