/** What holds for every answer of the plugin, whatever it was given. */
import { expect } from 'vitest'
import { EXAMPLES } from '../support/attributes.ts'
import type { Answer } from '../support/runtime.ts'

const NUMBER = '\\d{1,10}'
const METRIC = 'window|cwnd|reordering|ssthresh|rto_min'
const VALUE = { integer: '\\d{1,16}', switch: '1', name: '\\w[\\w.-]{0,14}' } as const
const ATTRIBUTES = EXAMPLES.map(({ name, attribute }) => `(?: ${name} ${VALUE[attribute.is]})?`).join('')
// Control characters are legal in the name of an interface, except for white space.
const DEV = '[^\\s/:#"\'\\\\\\0]{1,15}'

/** Every batch line there is, given what may stand for an address and for other words of the kernel's. */
const batchLine = ({
  address,
  prefix,
  dev,
  proto,
  number,
  word,
}: Record<'address' | 'prefix' | 'dev' | 'proto' | 'number' | 'word', string>) =>
  new RegExp(
    `^route (?:add|append|replace|del) ${prefix}(?: from ${prefix})?(?: nhid ${number})?(?: via (?:inet6 )?${address})?` +
      `(?: dev ${dev})?(?: onlink)?(?: table ${NUMBER})?${proto}(?: metric ${NUMBER})?(?: tos ${word})?` +
      `(?: scope ${NUMBER})?(?: src ${address})?${ATTRIBUTES}(?: expires ${number})?` +
      `(?: (?:${METRIC}) ${word})*(?: pref ${word})?` +
      `(?: nexthop(?: via (?:inet6 )?${address})? dev ${dev} weight ${NUMBER}(?: onlink)?)*$`,
  )

/** What separates, quotes, escapes or comments in a batch is part of no word. */
const WORD = '[^\\s"\'#\\\\]+'
const GRAMMAR = {
  /** All words are those of a configuration, or of a kernel that is known. */
  known: batchLine({
    address: '[0-9a-f.:]{2,39}',
    prefix: '[0-9a-f.:]{2,39}/\\d{1,3}',
    dev: DEV,
    proto: ` proto ${NUMBER}`,
    number: NUMBER,
    word: '(?:0x[0-9a-f]{1,2}|[0-9.]{1,10}(?:ms|s)?|low|medium|high)',
  }),
  /**
   * Whatever answers in the place of ip(8) gets its words back, each in the place of one word. Of most next hops of an IPv6
   * multipath route the kernel shows no protocol.
   */
  strange: batchLine({
    address: WORD,
    prefix: WORD,
    dev: WORD,
    proto: `(?: proto ${NUMBER})?`,
    number: WORD,
    word: WORD,
  }),
}

export function expectBatchLine(line: string, answeredBy: keyof typeof GRAMMAR = 'known'): void {
  expect(line).toMatch(GRAMMAR[answeredBy])
}

const CODES = [1, 4, 5, 6, 7, 8, 11, 50, 100, 101, 102, 103, 104, 110, 120]
/** A message fits into an event of Kubernetes, which is cut at 1024 bytes, and leaves room for the pod's own name. */
const LONGEST_MESSAGE = 1000
const LONGEST_DETAILS = 100_000

/** An error that an operator can read: a code that docs/troubleshooting.md lists, one line, no stack trace. */
export function expectReadable({ code, msg, details = '' }: { code: number; msg: string; details?: string }): void {
  expect(CODES, msg).toContain(code)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal obeys them
  expect(msg).toMatch(/^[^\x00-\x1f\x80-\x9f\u2028\u2029]+$/)
  expect(msg.length).toBeLessThanOrEqual(LONGEST_MESSAGE)
  expect(details.length).toBeLessThanOrEqual(LONGEST_DETAILS)
  for (const text of [msg, details]) expect(text).not.toMatch(/\n\s+at |node:internal|TypeError|RangeError/)
}

/** Exit status and streams as the specification wants them. */
export function expectAnswer({ exitCode, stdout, stderr }: Answer): void {
  expect([0, 1]).toContain(exitCode)
  expect(stderr).not.toMatch(/^\s+at |node:internal/m)
  for (const line of stderr.split('\n').filter(Boolean))
    expect(JSON.parse(line)).toMatchObject({ level: expect.any(String) })
  if (exitCode === 0 && stdout === '') return
  const document = JSON.parse(stdout) // throws where there are two
  if (exitCode === 0) {
    expect(document).not.toHaveProperty('code')
    expect(document).not.toHaveProperty('msg')
    return
  }
  expectReadable(document)
}
