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

/** Eight words of four digits, seven colons, a prefix length: what is longer is not worth looking at. */
const LONGEST = 43

/**
 * `text` as an address with prefix length, host bits kept apart; undefined if it is none. Strict: no leading zeros,
 * no zone, no IPv4 in IPv6 notation, none of which a route can have.
 *
 * Our own, because it is called for every route of every call: ip-cidr takes 0.3 ms for each IPv6 prefix, and as much
 * as the rest of ADD for the first. The tests hold this against ip-cidr.
 */
export function parsePrefix(text: string): Prefix | undefined {
  if (text.length > LONGEST) return undefined
  const known = seen.get(text)
  if (known) return known
  const prefix = readPrefix(text)
  if (prefix && seen.size < MOST_SEEN) seen.set(text, prefix)
  return prefix
}

/** A call asks for the same few prefixes again and again, and reading one costs as much as a small file. */
const seen = new Map<string, Prefix>()
const MOST_SEEN = 100

function readPrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const family = familyOf(text)
  const words = slash < 0 ? undefined : wordsOf(text.slice(0, slash), family)
  const length = wordOf(text.slice(slash + 1), 10, 3)
  if (!words || length > words.length * 16) return undefined
  const address = format(words)
  const network = format(words.map((word, i) => word & maskOf(length - i * 16)))
  return { family, address, length, network: `${network}/${length}` }
}

/** `text` as a bare address in the form the kernel prints; undefined if it is none. */
export function parseAddress(text: string): { family: Family; address: string } | undefined {
  if (text.length > LONGEST) return undefined
  const family = familyOf(text)
  const words = wordsOf(text, family)
  return words && { family, address: format(words) }
}

/** True if the prefix or address `inner` lies in the prefix `outer`. Both as written by parsePrefix or the kernel. */
export function isWithin(inner: string, outer: string): boolean {
  const [address = '', bits] = inner.split('/')
  const length = outer.slice(outer.indexOf('/') + 1)
  if (familyOf(inner) !== familyOf(outer) || (bits !== undefined && Number(bits) < Number(length))) return false
  return parsePrefix(`${address}/${length}`)?.network === parsePrefix(outer)?.network
}

/** The family an address or prefix is written in. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4
}

/** The address in words of 16 bits, two or eight. */
function wordsOf(text: string, family: Family): number[] | undefined {
  if (family === 4) {
    const bytes = text.split('.').map((part) => wordOf(part, 10, 3))
    const [a = 0, b = 0, c = 0, d = 0] = bytes
    return bytes.length === 4 && bytes.every((byte) => byte <= 255) ? [a * 256 + b, c * 256 + d] : undefined
  }
  const halves = text.split('::').map((half) => (half === '' ? [] : half.split(':').map((part) => wordOf(part, 16, 4))))
  const [head = [], tail = []] = halves
  const missing = 8 - head.length - tail.length
  // `::` stands for one word of zeros at least, and can stand there once.
  if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) return undefined
  const words = [...head, ...Array<number>(missing).fill(0), ...tail]
  return words.every((word) => word <= 0xffff) ? words : undefined
}

const HEX = '0123456789abcdef'

/**
 * The number that `digits` write, Infinity if they write none. Decimal numbers have no leading zeros: to some, these
 * are octal.
 */
function wordOf(digits: string, base: 10 | 16, longest: number): number {
  if (digits.length === 0 || digits.length > longest) return Number.POSITIVE_INFINITY
  if (base === 10 && digits.length > 1 && digits.startsWith('0')) return Number.POSITIVE_INFINITY
  let value = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = HEX.indexOf(digits.charAt(i).toLowerCase())
    if (digit < 0 || digit >= base) return Number.POSITIVE_INFINITY
    value = value * base + digit
  }
  return value
}

/** The mask of a word of 16 bits of which the first `bits` count. */
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
 * What an address is that belongs to no host on a network; undefined for one that does.
 * @param address as parseAddress writes it
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.rfc-editor.org/rfc/rfc4291#section-2.4
 */
export function specialKind(address: string): 'unspecified' | 'loopback' | 'multicast' | 'broadcast' | undefined {
  if (address === '0.0.0.0' || address === '::') return 'unspecified'
  if (address === '255.255.255.255') return 'broadcast'
  if (/^127\.|^::1$/.test(address)) return 'loopback'
  return /^2(?:2[4-9]|3\d)\.|^ff[0-9a-f]{2}:/.test(address) ? 'multicast' : undefined
}
