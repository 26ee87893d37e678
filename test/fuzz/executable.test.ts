import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configure, createNamespaces, dump, netnsPath, removeNamespaces } from '../support/netns.ts'
import { call, vars } from './call.ts'
import { configuration, environment, SETS, SETS_DIR } from './documents.ts'
import { linksAnswer, routesAnswer } from './ip-answers.ts'
import { ipStandIn } from './ip-stand-in.ts'
import { mutated } from './mutations.ts'
import { expectAnswer, expectBatchLine } from './rules.ts'
import { runs, SEED } from './runs.ts'

beforeAll(() => {
  mkdirSync(SETS_DIR)
  for (const [name, text] of Object.entries(SETS)) writeFileSync(path.join(SETS_DIR, name), text)
})
afterAll(() => rmSync(SETS_DIR, { recursive: true }))
afterAll(removeNamespaces)

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const verb = fc.constantFrom('ADD', 'ADD', 'ADD', 'CHECK', 'DEL', 'STATUS', 'GC', 'VERSION')
const CNI_NETNS = '/var/run/netns/none'

/** A pod with two NICs, as Calico and kube-ovn leave it. */
async function pod(): Promise<string> {
  const { pod: netns } = await createNamespaces('pod')
  await configure(
    netns,
    `
    sysctl net.ipv6.conf.default.accept_dad=0
    link set lo up
    link add eth0 type veth peer name host0
    link add net1 type veth peer name host1
    link set host0 up
    link set host1 up
    link set eth0 up
    link set net1 up
    addr add 10.199.3.153/32 dev eth0
    addr add fd00:10:199::153/128 dev eth0 nodad
    addr add 10.0.1.10/24 dev net1
    route add 169.254.1.1 dev eth0 scope link`,
  )
  return netns
}
/** What ADD takes away is there again for the next case. */
const DEFAULTS = `
  route replace default via 169.254.1.1 dev eth0
  route replace ::/0 via fe80::1 dev eth0 metric 1024`

describe.concurrent(`seed ${SEED}: the executable answers as the specification says, and a refused call changes nothing, whatever`, () => {
  test.each([
    { what: 'the document says', document: configuration.map(encode), usual: 100, changed: 5 },
    { what: 'happened to its bytes', document: mutated(configuration), usual: 80, changed: 0 },
  ])('$what', async ({ document, usual, changed }) => {
    const netns = await pod()
    await configure(netns, DEFAULTS)
    let before = await dump(netns)
    const seen = { changed: 0, refused: 0 }
    await fc.assert(
      fc.asyncProperty(verb, document, async (command, stdin) => {
        const answer = await call(vars(command, netnsPath(netns)), stdin)
        expectAnswer(answer)
        const after = await dump(netns)
        if (answer.exitCode === 1) {
          seen.refused++
          expect(after).toBe(before)
        } else if (after !== before) {
          seen.changed++
          await configure(netns, DEFAULTS)
          before = await dump(netns)
        }
      }),
      runs(usual),
    )
    expect(seen.refused).toBeGreaterThan(usual / 5)
    expect(seen.changed).toBeGreaterThanOrEqual(changed)
  })

  test('the environment says', async () => {
    const netns = await pod()
    await configure(netns, DEFAULTS)
    const at = (env: Record<string, string>) =>
      env.CNI_NETNS === CNI_NETNS ? { ...env, CNI_NETNS: netnsPath(netns) } : env
    await fc.assert(
      fc.asyncProperty(environment, configuration, async (env, conf) => {
        // An empty CNI_COMMAND is a person's.
        if (!env.CNI_COMMAND) return
        const before = await dump(netns)
        const answer = await call(at(env), encode(conf))
        expectAnswer(answer)
        if (answer.exitCode === 1) expect(await dump(netns)).toBe(before)
      }),
      runs(80),
    )
  })

  test.each([
    { what: 'ip answers', answers: routesAnswer.map(encode), usual: 80, least: 5 },
    { what: 'happened to the bytes of what ip answers', answers: mutated(routesAnswer), usual: 60, least: 0 },
  ])('$what, and ip is told known words', async ({ answers, usual, least }) => {
    const netns = await pod()
    using host = ipStandIn()
    let told = 0
    await fc.assert(
      fc.asyncProperty(verb, configuration, answers, linksAnswer, async (command, conf, routes, links) => {
        host.answer(routes, encode(links))
        const answer = await call(vars(command, netnsPath(netns)), encode(conf), { via: host.via })
        expectAnswer(answer)
        const lines = host.told()
        told += lines.length
        for (const line of lines) expectBatchLine(line, 'strange')
        // What the plugin refuses by itself, it refuses before the first change.
        if (answer.exitCode === 1 && ![100, 101, 102].includes(JSON.parse(answer.stdout).code))
          expect(lines).toEqual([])
      }),
      runs(usual),
    )
    expect(told).toBeGreaterThanOrEqual(least)
  })
})
