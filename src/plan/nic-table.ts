import type { SourceRouting } from '../config/config.ts'
import { isLinkLocal } from '../net/address.ts'
import type { Link } from '../net/link.ts'
import { type Origin, PROTOCOL, type Route } from '../net/route.ts'

/** Which table `sourceRouting` gives a NIC, and for which of its addresses. */

export const SOURCE_ROUTING = 'sourceRouting'
export const ORIGIN: Origin = { key: 'routes', path: SOURCE_ROUTING }

/** Tables that the names of NICs decide have these numbers, which nobody else is known to use. */
const FIRST_TABLE = 1_420_000_000
const TABLES = 100_000_000

/** The table of a NIC: the same in each call, without anything being counted. */
export function tableOf(ifname: string, { table = tableByName(ifname) }: Pick<SourceRouting, 'table'> = {}): number {
  return table
}

/** @see http://www.isthe.com/chongo/tech/comp/fnv/, FNV-1a */
export function tableByName(ifname: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(ifname)) hash = Math.imul(hash ^ byte, 0x01000193)
  return FIRST_TABLE + ((hash >>> 0) % TABLES)
}

/** Addresses with a lifetime come and go without any call, and link-local ones need no rule. */
export function lastingAddresses({ addresses, passing = [] }: Link): string[] {
  return addresses.filter((address) => !isLinkLocal(address) && !passing.includes(address))
}

/** True for a route of a table that the name of its NIC decides. */
export function isOfSourceRouting({ protocol, table, dev }: Route): boolean {
  return protocol === PROTOCOL && dev !== undefined && table >= FIRST_TABLE && table === tableByName(dev)
}
