/** IPv4 or IPv6. */
export type Family = 4 | 6

export interface Prefix {
  readonly family: Family
  /** In the form the kernel prints: dotted decimal, or RFC 5952. */
  readonly address: string
  readonly length: number
  /** The prefix without host bits, `10.50.0.0/16`. */
  readonly network: string
}

/** Eight words of four digits, seven colons, and a prefix length: nothing longer is an address. */
const MAX_LENGTH = 43

/**
 * `text` as an address with prefix length, host bits included; undefined if it is not one. Strict: no leading zeros, no
 * zone, no IPv4 notation inside IPv6, since no route has them.
 *
 * Our own code, because every call needs it for every route: ip-cidr takes 0.3 ms for each IPv6 prefix, and as long as
 * the rest of ADD for the first. The tests compare the two.
 */
export function parsePrefix(text: string): Prefix | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const known = seen.get(text)
  if (known) return known
  const prefix = readPrefix(text)
  if (prefix && seen.size < MAX_SEEN) seen.set(text, prefix)
  return prefix
}

/** A call reads the same few prefixes again and again. */
const seen = new Map<string, Prefix>()
const MAX_SEEN = 100

function readPrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const family = familyOf(text)
  const words = slash < 0 ? undefined : words16(text.slice(0, slash), family)
  const length = word16(text.slice(slash + 1), 10, 3)
  if (!words || length > words.length * 16) return undefined
  const address = format(words)
  const network = format(words.map((word, i) => word & maskOf(length - i * 16)))
  return { family, address, length, network: `${network}/${length}` }
}

/** `text` as an address without prefix length; undefined if it is not one. */
export function parseAddress(text: string): { family: Family; address: string } | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const family = familyOf(text)
  const words = words16(text, family)
  return words && { family, address: format(words) }
}

/** True if the address or prefix `inner` lies in the prefix `outer`. Both in the form of parsePrefix or the kernel. */
export function isWithin(inner: string, outer: string): boolean {
  const [address = '', bits] = inner.split('/')
  const length = outer.slice(outer.indexOf('/') + 1)
  if (familyOf(inner) !== familyOf(outer) || (bits !== undefined && Number(bits) < Number(length))) return false
  return parsePrefix(`${address}/${length}`)?.network === parsePrefix(outer)?.network
}

/**
 * Tells which of `prefixes`, in the form of the kernel, contain an address. They are looked up by length: there may be
 * thousands, but of few different lengths.
 */
export function prefixesAroundIn(prefixes: ReadonlySet<string>): (address: string) => string[] {
  const lengths = { 4: new Set<string>(), 6: new Set<string>() }
  for (const prefix of prefixes) lengths[familyOf(prefix)].add(prefix.slice(prefix.indexOf('/')))
  return (address) =>
    [...lengths[familyOf(address)]]
      .map((length) => parsePrefix(`${address}${length}`)?.network ?? '')
      .filter((network) => prefixes.has(network))
}

/** The family that the notation of an address or prefix shows. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4
}

/** An address as 16-bit words: two, or eight. */
function words16(text: string, family: Family): number[] | undefined {
  if (family === 4) {
    const bytes = text.split('.').map((part) => word16(part, 10, 3))
    const [a = 0, b = 0, c = 0, d = 0] = bytes
    return bytes.length === 4 && bytes.every((byte) => byte <= 255) ? [a * 256 + b, c * 256 + d] : undefined
  }
  const halves = text.split('::').map((half) => (half === '' ? [] : half.split(':').map((part) => word16(part, 16, 4))))
  const [head = [], tail = []] = halves
  const missing = 8 - head.length - tail.length
  // `::` stands for at least one word of zeros, and is allowed once.
  if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) return undefined
  const words = [...head, ...Array<number>(missing).fill(0), ...tail]
  return words.every((word) => word <= 0xffff) ? words : undefined
}

const HEX = '0123456789abcdef'

/**
 * The value of `digits`, or Infinity. Decimal numbers must not have leading zeros: some programs read those as octal.
 */
function word16(digits: string, base: 10 | 16, maxDigits: number): number {
  if (digits.length === 0 || digits.length > maxDigits) return Number.POSITIVE_INFINITY
  if (base === 10 && digits.length > 1 && digits.startsWith('0')) return Number.POSITIVE_INFINITY
  let value = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = HEX.indexOf(digits.charAt(i).toLowerCase())
    if (digit < 0 || digit >= base) return Number.POSITIVE_INFINITY
    value = value * base + digit
  }
  return value
}

/** A 16-bit mask with the first `bits` bits set. */
function maskOf(bits: number): number {
  return bits >= 16 ? 0xffff : bits <= 0 ? 0 : (0xffff << (16 - bits)) & 0xffff
}

/**
 * @see RFC 5952: lower case, no leading zeros, the longest run of two or more zero words (the first of equals) as `::`
 */
function format(words: readonly number[]): string {
  if (words.length === 2) return words.map((word) => `${word >> 8}.${word & 255}`).join('.')
  let start = -1
  let longest = 1
  for (let i = 0, run = 0; i < words.length; i++) {
    run = words[i] === 0 ? run + 1 : 0
    if (run > longest) [start, longest] = [i - run + 1, run]
  }
  const hex = (part: readonly number[]) => part.map((word) => word.toString(16)).join(':')
  return start < 0 ? hex(words) : `${hex(words.slice(0, start))}::${hex(words.slice(start + longest))}`
}

/** @see https://www.rfc-editor.org/rfc/rfc4291#section-2.5.6 */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address)
}

/**
 * The kind of an address that no single host can have; undefined for ordinary addresses.
 * @param address in the form of parseAddress
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.rfc-editor.org/rfc/rfc4291#section-2.4
 */
export function specialKind(address: string): 'unspecified' | 'loopback' | 'multicast' | 'broadcast' | undefined {
  if (address === '0.0.0.0' || address === '::') return 'unspecified'
  if (address === '255.255.255.255') return 'broadcast'
  if (/^127\.|^::1$/.test(address)) return 'loopback'
  return /^2(?:2[4-9]|3\d)\.|^ff[0-9a-f]{2}:/.test(address) ? 'multicast' : undefined
}
