import { MAIN_TABLE, type Snapshot } from '../net/route.ts'
import { type DhcpOffer, dhcpOffer, inDumpOrder, kubevirtProblems, unreachableInOrder } from '../plan/kubevirt.ts'

/** What a VM with KubeVirt's bridge binding on a NIC would be handed by DHCP, and what would come of it. */
export interface DhcpPreview {
  /** Absent: KubeVirt would fail the VM. */
  readonly offer?: DhcpOffer
  readonly warnings: readonly string[]
}

/**
 * @param inPlay whether there is a VM; else nobody needs to be warned of what one would have
 * @returns undefined for a NIC without IPv4 address, to which KubeVirt offers nothing
 */
export function dhcpPreview(snapshot: Snapshot, ifname: string, inPlay: boolean): DhcpPreview | undefined {
  const address = addressOf(snapshot, ifname)
  if (address === undefined) return undefined
  const ipv4 = snapshot.routes.filter(({ family }) => family === 4)
  const offer = dhcpOffer(inDumpOrder(ipv4), ifname, address)
  if (!inPlay) return { ...(offer ? { offer } : {}), warnings: [] }
  const late = offer ? unreachableInOrder(offer, address) : []
  const warnings = kubevirtProblems(snapshot, ifname).map(({ says }) => says)
  if (late.length > 0) {
    warnings.push(
      `clients that apply the routes in this order refuse ${late.join(', ')}, whose gateway comes later; write "scope": "link"`,
    )
  }
  return { ...(offer ? { offer } : {}), warnings }
}

/** The NIC's IPv4 address, with the prefix length that the kernel made a route of. */
export function addressOf({ links, routes }: Snapshot, ifname: string): string | undefined {
  const address = links.find((link) => link.ifname === ifname)?.addresses.find((one) => one.includes('.'))
  if (address === undefined) return undefined
  const connected = routes.find(
    (route) =>
      route.dev === ifname && route.table === MAIN_TABLE && route.protocol === KERNEL_PROTOCOL && route.src === address,
  )
  return `${address}/${connected?.dst.split('/')[1] ?? 32}`
}

/** @see rtnetlink(7): `rtm_protocol` RTPROT_KERNEL */
const KERNEL_PROTOCOL = 2
