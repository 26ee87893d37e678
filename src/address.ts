import IPCIDR from 'ip-cidr'

/** IPv4 or IPv6. */
export type Family = 4 | 6

export interface Prefix {
  readonly family: Family
  /** The address in the form the kernel prints: dotted decimal, or RFC 5952. */
  readonly address: string
  readonly length: number
  /** The prefix without host bits, `10.50.0.0/16`. */
  readonly network: string
}

// ip-cidr takes zones, several slashes, lengths like /048, and makes IPv4 of ::ffff:10.0.0.1; a route has none of these.
const CIDR = /^(?:[0-9.]+|[0-9a-fA-F:]+)\/(?:0|[1-9]\d{0,2})$/

/** `text` as an address with prefix length, host bits kept apart; undefined if it is none. */
export function parsePrefix(text: string): Prefix | undefined {
  if (!CIDR.test(text)) return undefined
  try {
    const cidr = new IPCIDR(text)
    const length = cidr.address.subnetMask
    return {
      family: familyOf(text),
      address: cidr.address.correctForm(),
      length,
      network: `${cidr.addressStart.correctForm()}/${length}`,
    }
  } catch {
    return undefined
  }
}

/** `text` as a bare address in the form the kernel prints; undefined if it is none. */
export function parseAddress(text: string): { family: Family; address: string } | undefined {
  const prefix = parsePrefix(`${text}/${text.includes(':') ? 128 : 32}`)
  return prefix && { family: prefix.family, address: prefix.address }
}

/** The family an address or prefix is written in. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4
}
