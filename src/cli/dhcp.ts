import { MAIN_TABLE, type Snapshot } from '../net/route.ts'
import { type DhcpOffer, dhcpOffer, inDumpOrder, kubevirtProblems, unreachableInOrder } from '../plan/kubevirt.ts'

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
  const address = addressOf(snapshot, ifname)
  if (address === undefined) return undefined
  const ipv4 = snapshot.routes.filter(({ family }) => family === 4)
  const offer = dhcpOffer(inDumpOrder(ipv4), ifname, address)
  if (!isUsed) return { ...(offer ? { offer } : {}), warnings: [] }
  const late = offer ? unreachableInOrder(offer, address) : []
  const warnings = kubevirtProblems(snapshot, ifname).map(({ says }) => says)
  if (late.length > 0) {
    warnings.push(
      `DHCP clients that apply routes in order refuse ${late.join(', ')}: the route to the gateway comes later; write "scope": "link"`,
    )
  }
  return { ...(offer ? { offer } : {}), warnings }
}

/** The NIC's IPv4 address, with the prefix length of its connected route. */
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
