import { parseAnswer, text } from './iproute2.ts'
import type { Link } from './link.ts'

/** Lists the interfaces and their addresses. @see ip-address(8) */
export const SHOW_LINKS = 'address show'

interface LinkJson {
  ifname?: string
  flags?: string[]
  address?: string
  linkinfo?: { info_kind?: string }
  addr_info?: { local?: string; prefixlen?: number; dynamic?: boolean }[]
}

/** The interfaces of an `address show` answer. @throws SyntaxError if it is not JSON */
export function parseLinks(answer: string): Link[] {
  return parseAnswer<LinkJson>(answer).flatMap((json) => {
    if (json.ifname === undefined) return [] // ip prints `{}` for an interface that it filtered out
    const own = (json.addr_info ?? []).filter(({ local }) => local !== undefined)
    const kind = json.linkinfo?.info_kind
    return {
      ifname: text(json.ifname),
      up: json.flags?.includes('UP') ?? false,
      ...(kind === undefined ? {} : { kind }),
      ...(json.address === undefined ? {} : { mac: text(json.address) }),
      addresses: own.map(({ local }) => text(local)),
      prefixlens: own.map(({ prefixlen }) => Number(prefixlen)),
      ...(json.addr_info?.some(({ dynamic }) => dynamic) ? { passing: passingIn(json.addr_info) } : {}),
    }
  })
}

function passingIn(addresses: NonNullable<LinkJson['addr_info']>): string[] {
  return addresses.flatMap(({ local, dynamic }) => (dynamic && local !== undefined ? text(local) : []))
}
