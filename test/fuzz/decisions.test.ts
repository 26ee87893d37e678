import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { vars } from './call.ts'
import { type Decision, decide, TWO_NICS } from './decide.ts'
import { configuration, environment, ODD } from './documents.ts'
import { linksAnswer, routesAnswer } from './ip-answers.ts'
import { mutated } from './mutations.ts'
import { expectBatchLine, expectReadable } from './rules.ts'
import { runs, SEED } from './runs.ts'

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const verb = fc.constantFrom('ADD', 'ADD', 'ADD', 'CHECK', 'DEL', 'STATUS').map((word) => vars(word, '/n'))

type Env = Readonly<Record<string, string>>
type Ip = Parameters<typeof expectBatchLine>[1]

function expectDecision(decision: Decision, ip: Ip): void {
  if ('refused' in decision) {
    const { code, message: msg, details = '' } = decision.refused
    expectReadable({ code, msg, details })
    return
  }
  for (const line of decision.lines) expectBatchLine(line, ip)
  // How JSON.rawJSON keeps a number: nobody may take it for an object.
  expect(decision.result ?? '').not.toContain('rawJSON')
}

/**
 * Holds every decision to the rules.
 * @param often the least share of decisions that end so: a generator that only makes what is refused would prove nothing
 */
function holds<T extends [unknown, ...unknown[]]>(
  inputs: { [I in keyof T]: fc.Arbitrary<T[I]> },
  usual: number,
  often: Readonly<Record<string, number>>,
  decideOn: (...input: T) => Decision,
  ip: Ip = 'known',
): void {
  const ends = new Map<string, number>()
  let total = 0
  const property = fc.property(fc.tuple<T>(...inputs), (input) => {
    const decision = decideOn(...input)
    const end = 'refused' in decision ? `code ${decision.refused.code}` : decision.lines.length > 0 ? 'changes' : 'none'
    ends.set(end, (ends.get(end) ?? 0) + 1)
    total++
    expectDecision(decision, ip)
  })
  fc.assert(property, runs(usual))
  for (const [end, share] of Object.entries(often)) {
    expect((ends.get(end) ?? 0) / total, `${end} of ${JSON.stringify([...ends])}`).toBeGreaterThan(share)
  }
}

describe(`seed ${SEED}: what the plugin decides is a readable refusal or a batch of known words, whatever`, () => {
  test('the configuration, prevResult and args.cni say', () => {
    const often = { changes: 0.1, 'code 7': 0.1, 'code 11': 0.002, 'code 120': 0.02 }
    holds([verb, configuration], 6000, often, (env, conf) => decide(env, encode(conf)))
  })

  test('the environment says', () => {
    const often = { changes: 0.05, 'code 4': 0.05 }
    holds([environment, configuration], 2000, often, (env, conf) => decide(env, encode(conf)))
  })

  test('happened to the bytes of stdin', () => {
    holds([verb, mutated(configuration)], 6000, { changes: 0.02, 'code 6': 0.1, 'code 7': 0.1 }, decide)
  })

  test('the file of a set says', () => {
    const conf = encode({
      cniVersion: '1.1.0',
      name: 'k8s-pod-network',
      routes: [{ set: 'underlay' }, { dst: '10.60.0.0/16' }, { set: 'four', table: 100 }],
      prevResult: {},
    })
    const line = fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom('', '# a', '10.50.0.0/16', '10.50.0.0/16 # b', ' fd00:10:50::/48\r') },
      { weight: 1, arbitrary: ODD.map((odd) => (typeof odd === 'string' ? odd : JSON.stringify(odd))) },
    )
    const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'))
    const bytes = fc.tuple(text, mutated(text)).map(([text, changed]) => [text, Buffer.from(changed).toString()])
    holds([verb, text, bytes], 4000, { changes: 0.1, 'code 7': 0.1 }, (env, underlay, [four = '', mutant = '']) =>
      decide(env, conf, TWO_NICS, { underlay, four: underlay.length % 2 ? four : mutant }),
    )
  })

  test('ip answers', () => {
    const often = { changes: 0.05, 'code 103': 0.02 }
    const decideOn = (env: Env, conf: object, routes: unknown, links: unknown) =>
      decide(env, encode(conf), { routes: JSON.stringify(routes), links: JSON.stringify(links) })
    holds([verb, configuration, routesAnswer, linksAnswer], 6000, often, decideOn, 'strange')
  })

  test('happened to the bytes of what ip answers', () => {
    const often = { changes: 0.01, 'code 103': 0.2 }
    const decideOn = (env: Env, conf: object, bytes: Uint8Array) =>
      decide(env, encode(conf), { ...TWO_NICS, routes: Buffer.from(bytes).toString() })
    holds([verb, configuration, mutated(routesAnswer)], 4000, often, decideOn, 'strange')
  })
})
