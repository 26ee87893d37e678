/** What befalls a document on its way: bits, ends, words that JSON knows and no configuration expects. */
import fc from 'fast-check'

const encoder = new TextEncoder()
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

type Mutation = (bytes: Uint8Array) => Uint8Array

const splice = (bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array =>
  Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])

/** Literals that stand where a number or a word stood. */
const LITERALS = [
  '1e999',
  '-1e999',
  '-0',
  '1.0',
  '1e2',
  '123456789012345678901234567890',
  '0.1000000000000000055511151231257827',
  '01',
  '"\\ud800"',
  '"\\u0000"',
  '"\\n"',
  'NaN',
  '[[[[[[[[]]]]]]]]',
  '{"__proto__":{"dryRun":true}}',
]
const KEYS = ['"__proto__":{"routes":[],"gw":"10.0.0.1"},', '"constructor":1,', '"":0,', '"toJSON":1,', '"dst":"::/0",']
const CHUNKS = [
  '\0',
  '\ufeff',
  '\u2028',
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\',
  '\\u',
  '//',
  '\n',
  'é',
  '0'.repeat(20),
]
const RAW = [Uint8Array.of(0xff), Uint8Array.of(0xc3), Uint8Array.of(0xed, 0xa0, 0x80), Uint8Array.of(0)]

/** Something else for the n-th of what a pattern finds. */
const replaceOne =
  (pattern: RegExp, where: number, by: string): Mutation =>
  (bytes) => {
    const text = Buffer.from(bytes).toString()
    const found = [...text.matchAll(pattern)]
    const hit = found[Math.floor(where * found.length)]
    if (!hit) return bytes
    return encoder.encode(text.slice(0, hit.index) + by + text.slice(hit.index + hit[0].length))
  }

const at = (bytes: Uint8Array, where: number) => Math.floor(where * (bytes.length + 1))

const ofBytes: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.integer({ min: 0, max: 7 })).map(
    ([where, bit]): Mutation =>
      (bytes) => {
        const copy = Uint8Array.from(bytes)
        const i = Math.floor(where * copy.length)
        if (copy.length > 0) copy[i] = (copy[i] ?? 0) ^ (1 << bit)
        return copy
      },
  ),
  position.map(
    (where): Mutation =>
      (bytes) =>
        bytes.subarray(0, at(bytes, where)),
  ),
  fc.tuple(position, position).map(
    ([from, to]): Mutation =>
      (bytes) => {
        const [a, b] = [at(bytes, Math.min(from, to)), at(bytes, Math.max(from, to))]
        return splice(bytes, b, 0, bytes.subarray(a, b))
      },
  ),
  fc.tuple(position, fc.integer({ min: 1, max: 20 })).map(
    ([where, length]): Mutation =>
      (bytes) =>
        splice(bytes, at(bytes, where), length, new Uint8Array()),
  ),
  fc.tuple(position, fc.constantFrom(...CHUNKS.map((chunk) => encoder.encode(chunk)), ...RAW)).map(
    ([where, chunk]): Mutation =>
      (bytes) =>
        splice(bytes, at(bytes, where), 0, chunk),
  ),
)
/** Leaves JSON. */
const ofWords: fc.Arbitrary<Mutation> = fc.oneof(
  fc
    .tuple(position, fc.constantFrom(...LITERALS))
    .map(([where, literal]) => replaceOne(/"[^"]*"(?!:)|-?\d+|true|false|null/g, where, literal)),
  fc.tuple(position, fc.constantFrom(...LITERALS)).map(([where, literal]) => replaceOne(/\{[^{}]*\}/g, where, literal)),
  fc.tuple(position, fc.constantFrom(...KEYS)).map(([where, key]) => replaceOne(/(?<=\{)(?=")/g, where, key)),
)

const some = (mutation: fc.Arbitrary<Mutation>) => fc.array(mutation, { minLength: 1, maxLength: 2 })

/** A document, and one or two things done to its bytes. */
export const mutated = (document: fc.Arbitrary<unknown>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(document, fc.oneof(some(ofBytes), some(ofWords), some(ofWords))).map(([value, mutations]) => {
    let bytes: Uint8Array = encoder.encode(JSON.stringify(value))
    for (const change of mutations) bytes = change(bytes)
    return bytes
  })
