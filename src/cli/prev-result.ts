import type { NetConf } from '../cni/request.ts'
import type { Config } from '../config/config.ts'
import { isLinkLocal, isWithin } from '../net/address.ts'
import { KERNEL_PROTOCOL, MAIN_TABLE, type Snapshot } from '../net/route.ts'

/** Where prevResult is from; no previous plugin said what is in the last of them. */
type From = 'FILE' | "libcni's result cache" | 'the addresses of the NIC'

/**
 * The prevResult that a runtime would pass, as far as it can be known.
 * @param cached reads the Result that libcni's cache has, if it has one
 */
export function prevResultOf(
  conf: NetConf,
  ifname: string,
  cached: () => unknown,
  snapshot: Snapshot,
): { prevResult: unknown; from: From } {
  if (conf.prevResult !== undefined) return { prevResult: conf.prevResult, from: 'FILE' }
  const known = cached()
  if (known !== undefined) return { prevResult: known, from: "libcni's result cache" }
  const addresses = snapshot.links.find((link) => link.ifname === ifname)?.addresses ?? []
  const ips = addresses
    .filter((address) => !isLinkLocal(address))
    .map((address) => ({ address: `${address}/${lengthOf(address, ifname, snapshot)}` }))
  return { prevResult: { ips }, from: 'the addresses of the NIC' }
}

/** The prefix length of an address: that of the connected route which the kernel made for it, if there is one. */
function lengthOf(address: string, ifname: string, { routes }: Snapshot): number {
  const lengths = routes.flatMap(({ dst, dev, gw, table, protocol }) =>
    protocol === KERNEL_PROTOCOL && table === MAIN_TABLE && dev === ifname && !gw && isWithin(address, dst)
      ? Number(dst.split('/')[1])
      : [],
  )
  return lengths.length > 0 ? Math.max(...lengths) : address.includes(':') ? 128 : 32
}

/**
 * What to say if `ovnGateway` depends on a gateway that only the previous plugin can tell.
 * @param maker the type of the plugin that made the NIC. Calico reports no gateway.
 */
export function unknownGateway(
  { gateway }: Pick<Config, 'gateway'>,
  ifname: string,
  maker: string | undefined,
  from: From,
): string | undefined {
  if (from !== 'the addresses of the NIC' || maker === 'calico' || !gateway) return undefined
  if ((gateway.dev ?? ifname) !== ifname || !Object.values(gateway.wanted).includes('auto')) return undefined
  return 'ovnGateway: the gateway that the previous plugin may report is unknown here, so "auto" may do otherwise; add "prevResult" to the entry of x-calico-route'
}
