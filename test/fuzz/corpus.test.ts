import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createNamespaces, netnsPath, removeNamespaces } from '../support/netns.ts'
import { call, vars } from './call.ts'
import { decide, TWO_NICS } from './decide.ts'
import { ipStandIn, type StandIn } from './ip-stand-in.ts'
import { expectAnswer, expectBatchLine, expectReadable } from './rules.ts'

/**
 * What was found once, by chance or by thought, each file named for what it holds: `.stdin` is a document, `.routes` and
 * `.links` are what ip answers.
 */
const CORPUS = new URL('corpus/', import.meta.url)
const entries = readdirSync(CORPUS).sort()
const read = (name: string): Uint8Array => readFileSync(new URL(name, CORPUS))
const encode = (text: string) => new TextEncoder().encode(text)

/** Asks for something of every kind of route in the corpus. */
const CONFIGURATION = encode(
  JSON.stringify({
    cniVersion: '1.1.0',
    name: 'k8s-pod-network',
    type: 'x-calico-route',
    routes: [{ dst: '10.50.0.0/16' }, { dst: '10.60.0.0/16', src: '10.199.3.153' }],
    ovnGateway: 'auto',
    prevResult: { cniVersion: '1.1.0', ips: [{ address: '10.199.3.153/32', gateway: '169.254.1.1' }] },
  }),
)

function inputsOf(name: string): { stdin: Uint8Array; routes: Uint8Array; links: Uint8Array } {
  const bytes = read(name)
  return {
    stdin: name.endsWith('.stdin') ? bytes : CONFIGURATION,
    routes: name.endsWith('.routes') ? bytes : encode(TWO_NICS.routes),
    links: name.endsWith('.links') ? bytes : encode(TWO_NICS.links),
  }
}

let netns: string
let host: StandIn

beforeAll(async () => {
  netns = (await createNamespaces('pod')).pod
  host = ipStandIn()
})
afterAll(() => {
  host[Symbol.dispose]()
  removeNamespaces()
})

describe.each(entries)('%s', (name) => {
  const { stdin, routes, links } = inputsOf(name)
  const ip = name.endsWith('.stdin') ? 'known' : 'strange'

  test.each(['ADD', 'CHECK', 'DEL'])('%s decides on known words, or refuses it readably', (verb) => {
    const answers = { routes: Buffer.from(routes).toString(), links: Buffer.from(links).toString() }
    const decision = decide(vars(verb, '/n'), stdin, answers)
    if ('refused' in decision) {
      const { code, message: msg, details = '' } = decision.refused
      return expectReadable({ code, msg, details })
    }
    for (const line of decision.lines) expectBatchLine(line, ip)
    expect(decision.result ?? '').not.toContain('rawJSON')
  })

  test.each(['ADD', 'DEL'])('the executable answers %s as the specification says', async (verb) => {
    host.answer(routes, links)
    expectAnswer(await call(vars(verb, netnsPath(netns)), stdin, { via: host.via }))
    for (const line of host.told()) expectBatchLine(line, ip)
  })
})
