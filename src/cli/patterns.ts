/**
 * Regular expressions for what the plugin parses: addresses, prefixes without host bits. They use only what every
 * implementation of JSON Schema has, lookahead included. The tests compare them with the parser.
 */

import { OF_ROUTE_OVERRIDE, OUR_KEYS } from '../config/misnamed-keys.ts'

/** `least` to `most` by ones, or by `step`. */
function range(least: number, most: number, step = 1): number[] {
  return Array.from({ length: Math.floor((most - least) / step) + 1 }, (_, i) => least + i * step)
}

const any = (...patterns: readonly string[]) => `(?:${patterns.join('|')})`
const upTo = (pattern: string, most: number) => (most === 0 ? '' : `(?:${pattern}){0,${most}}`)

/** Decimal numbers; those that differ only in the last digit share a branch. */
function decimals(numbers: readonly number[]): string {
  const digitsOf = new Map<string, string>()
  for (const number of numbers) {
    const text = String(number)
    digitsOf.set(text.slice(0, -1), (digitsOf.get(text.slice(0, -1)) ?? '') + text.slice(-1))
  }
  const tensOf = new Map<string, string[]>()
  for (const [tens, digits] of digitsOf) tensOf.set(digits, [...(tensOf.get(digits) ?? []), tens])
  return any(...[...tensOf].map(([digits, tens]) => `${any(...tens)}[${digits}]`))
}

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`

/** For each octet that the prefix length ends in: the octets before it, that one, and zeros. */
const IPV4_PREFIX = any(
  '0\\.0\\.0\\.0/0',
  ...range(0, 3).map((octet) => {
    const lengths = range(1, 8).map((bits) => `${octetOf(bits)}(?:\\.0){${3 - octet}}/${octet * 8 + bits}`)
    return `(?:${OCTET}\\.){${octet}}${any(...lengths)}`
  }),
)

/** An octet whose other bits than the first `bits` are zero. */
function octetOf(bits: number): string {
  return bits === 8 ? OCTET : decimals(range(0, 255, 2 ** (8 - bits)))
}

const HEX = '[0-9a-fA-F]'
const WORD = `${HEX}{1,4}`

/** Eight words; or `::` in place of at least one word, and the others before and after it. */
const IPV6 = any(
  `(?:${WORD}:){7}${WORD}`,
  ...range(0, 7).map((before) => {
    const head = before === 0 ? ':' : `(?:${WORD}:){${before}}`
    const after = 7 - before
    return after === 0 ? `${head}:` : `${head}:(?:${WORD}${upTo(`:${WORD}`, after - 1)})?`
  }),
)

/** Matches an IPv6 prefix without host bits, in a text that has the form of a prefix. */
const NO_HOST_BITS = any(
  '[0:]+/0',
  ...range(0, 7).map((words) => {
    // `::` comes before the word in which the length ends, and only zeros follow that word; or only zeros follow `::`.
    const early = words === 0 ? ':' : any(`(?:\\w+:){1,${words}}`, ':')
    const after = `(?::0+){${7 - words}}`
    const lengths = range(1, 16).map((bits) => {
      const word = wordOf(bits)
      return `${any(`(?:\\w+:){${words}}${word}(?::[0:]*)?`, `${early}:(?:\\w+:)*${word}${after}`)}/${words * 16 + bits}`
    })
    return any(`${early}:[0:]*/${decimals(range(words * 16 + 1, words * 16 + 16))}`, ...lengths)
  }),
)

/** A word whose other bits than the first `bits` are zero. */
function wordOf(bits: number): string {
  const digits = Math.ceil(bits / 4)
  const last = range(0, 15, 2 ** (digits * 4 - bits)).map((digit) => digit.toString(16))
  const letters = last.filter((digit) => /[a-f]/.test(digit)).map((digit) => digit.toUpperCase())
  const head = digits === 1 ? '' : `\\w{0,${digits - 1}}`
  return any('0+', `${head}[${[...last, ...letters].join('')}]0{${4 - digits}}`)
}

const IPV6_LENGTH = '(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])'
const IPV6_PREFIX = `(?=${IPV6}/${IPV6_LENGTH}$)${NO_HOST_BITS}`

const whole = (pattern: string) => `^${pattern}$`
const except = (pattern: string) => `(?!${pattern}$)`

export const PREFIX = whole(any(IPV4_PREFIX, IPV6_PREFIX))

/** Every way to write an address that is all zeros except for its last word. */
const ZEROS_AND = (word: string) => `[0:]*:${word}`
const UNSPECIFIED = any('0\\.0\\.0\\.0', ZEROS_AND('0*'))
const MULTICAST = any(`${any('22[4-9]', '23[0-9]')}\\..*`, '[fF]{2}\\w{2}:.*')
const BROADCAST = '255\\.255\\.255\\.255'
const LOOPBACK_6 = ZEROS_AND('0{0,3}1')
const LOOPBACK = any('127\\..*', LOOPBACK_6)

const NO_GATEWAY = except(any(UNSPECIFIED, MULTICAST, BROADCAST, LOOPBACK))
const GATEWAYS = { 4: `${NO_GATEWAY}${IPV4}`, 6: `${NO_GATEWAY}${IPV6}`, any: `${NO_GATEWAY}${any(IPV4, IPV6)}` }

export function gateway(family: 4 | 6 | undefined, auto: boolean): string {
  const address = GATEWAYS[family ?? 'any']
  return whole(auto ? any('auto', address) : address)
}

export const SOURCE = whole(`${except(any(UNSPECIFIED, MULTICAST, BROADCAST, LOOPBACK_6))}${any(IPV4, IPV6)}`)

/** The name of an interface. Its limit is in bytes, which no pattern can count. */
export const IFNAME = whole(`${except('\\.{1,2}')}[^/:\\s#"'\\\\]+`)

/** A misspelt key of ours, `defaultroute` or `default_route`, or a key of route-override. */
export const STRANGE_KEY = whole(
  `${except(any(...OUR_KEYS))}${any(...[...OUR_KEYS, ...OF_ROUTE_OVERRIDE.keys()].map(inAnyLetters))}`,
)

function inAnyLetters(key: string): string {
  const letter = (one: string) => `[${one.toLowerCase()}${one.toUpperCase()}]`
  return key.replace(/[A-Z]|[a-z]/g, (one) => (/[A-Z]/.test(one) ? `[_-]?${letter(one)}` : letter(one)))
}
