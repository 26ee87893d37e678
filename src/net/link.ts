import { listed } from '../errors.ts'

export interface Link {
  readonly ifname: string
  readonly up: boolean
  /** rtnl kind (`veth`, `dummy`); absent for `lo` and physical interfaces. */
  readonly kind?: string
  /** In lower case. */
  readonly mac?: string
  /** Without prefix length, in the form the kernel prints. */
  readonly addresses: readonly string[]
  /** The prefix lengths of `addresses`, in their order; absent if they are not known. */
  readonly prefixlens?: readonly number[]
  /** Those of the addresses that have a lifetime, from a router advertisement or DHCP. */
  readonly passing?: readonly string[]
}

export function nicIn(links: readonly Link[], ifname: string): Link | undefined {
  return links.find((link) => link.ifname === ifname)
}

/** How many interfaces or addresses a message names: whoever is root in a pod decides how many there are. */
export const MAX_NAMED = 10

/** The names of interfaces, for a message. */
export function nicNames(links: readonly Link[]): string {
  return (
    listed(
      links.map(({ ifname }) => ifname),
      MAX_NAMED,
    ).join(', ') || 'none'
  )
}
