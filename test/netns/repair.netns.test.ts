import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CniError } from '../../src/errors.ts'
import { type WithNetns, withNetns } from '../../src/kernel/netns.ts'
import { readSet } from '../../src/kernel/set-file.ts'
import { batchLine } from '../../src/net/iproute2.ts'
import { type Asked, type Repaired, repair } from '../../src/verbs/repair.ts'
import { CALICO, INTERNET, type Pod, UNDERLAY } from '../support/calico.ts'
import { AUTO, DEMOTE } from '../support/chains.ts'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, paths, ROUTER, type Site, separatePaths, site } from '../support/ovn-nic.ts'
import { call, flow } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import type { Config } from '../support/runtime.ts'
import { add, check } from '../support/verbs.ts'

let setsDir: string
beforeEach(() => {
  setsDir = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
})
afterEach(() => {
  rmSync(setsDir, { recursive: true })
  removeNamespaces()
})

const PREFIXES = ['10.50.0.0/16', 'fd00:10:50::/48']
const putSet = (...prefixes: string[]) => writeFileSync(path.join(setsDir, 'underlay'), prefixes.join('\n'))

/** A pod whose attachments are known, as a cache of libcni knows them. */
interface Living {
  readonly pod: Site
  readonly asked: Asked[]
  readonly check: () => Promise<void>
}

async function attached(pod: Site, ...made: [nic: Pod, config: Config & object][]): Promise<Living> {
  const asked: Asked[] = []
  for (const [nic, keys] of made) {
    const conf = { cniVersion: '1.0.0' as const, name: `of-${nic.ifname}`, type: 'x-calico-route', setsDir, ...keys }
    const prevResult = await add(nic, conf)
    asked.push({ conf: { ...conf, prevResult }, ifname: nic.ifname })
  }
  const checkAll = async () => {
    for (const [i, [nic]] of made.entries()) await check(nic, asked[i]?.conf as Config)
  }
  return { pod, asked, check: checkAll }
}

const together = (pod: Site, ...parts: Living[]): Living => ({
  pod,
  asked: parts.flatMap(({ asked }) => asked),
  check: async () => {
    for (const one of parts) await one.check()
  },
})

const SET = { routes: [{ set: 'underlay' }] }

/** Calico's NIC, which leads to the underlay, and one of Kube-OVN with the pod's default route. */
async function calicoFirst(): Promise<Living> {
  const pod = await site()
  putSet(...PREFIXES)
  const eth0 = await attachCalico(pod)
  const first = await attached(pod, [eth0, { ...SET, prevResult: calicoResult(eth0) }])
  const net1 = await attachOvn(pod)
  return together(pod, first, await attached(pod, [net1, { ...AUTO, prevResult: net1.result }]))
}

/** The same in the other order. */
async function ovnFirst(): Promise<Living> {
  const pod = await site()
  putSet(...PREFIXES)
  const net1 = await attachOvn(pod)
  const first = await attached(pod, [net1, { ...DEMOTE, prevResult: net1.result }])
  const eth0 = await attachCalico(pod)
  return together(pod, first, await attached(pod, [eth0, { ...SET, ...AUTO, prevResult: calicoResult(eth0) }]))
}

function repaired({ pod, asked }: Pick<Living, 'pod' | 'asked'>, agree = () => true): Promise<Repaired> {
  return repair(asked, pod.path, { withNetns, readSet, agree })
}

async function failure(act: Promise<unknown>): Promise<CniError> {
  const error = await act.then(
    () => undefined,
    (one: unknown) => one,
  )
  if (error instanceof CniError) return error
  throw new Error(`no CniError: ${error}`)
}

describe.each([
  ['Calico first', calicoFirst],
  ['Kube-OVN first', ovnFirst],
])('repair of a pod with two NICs, %s', (_, make) => {
  test('does nothing in a pod that is as asked', async () => {
    const living = await make()
    await using _pod = living.pod
    const { before, after } = await changes(living.pod.netns, async () => {
      expect(await repaired(living, () => expect.fail('asked'))).toEqual({ found: [], ops: [] })
    })
    expect(after).toBe(before)
  })

  test.each([
    ['all of ours is flushed', 'route flush table all proto 142\n-6 route flush table all proto 142'],
    [
      'a next hop is overwritten',
      `route replace 10.50.0.0/16 via ${ROUTER[4]} dev net1 proto 142
       route replace fd00:10:50::/48 via ${ROUTER[6]} dev net1 proto 142 metric 1024`,
    ],
    ['an attribute is', `route replace 10.50.0.0/16 via ${CALICO[4]} dev eth0 proto 142 initcwnd 10`],
    [
      'routes look like ours',
      `route add 10.60.0.0/16 via ${CALICO[4]} dev eth0 proto 142\nroute add fd00:60::/48 dev net1 proto 142`,
    ],
    [
      'the default route of Calico is back in the place of the other',
      `route replace default via ${CALICO[4]} dev eth0`,
    ],
    [
      'and beside it',
      `route add default via ${CALICO[4]} dev eth0 metric 5\nroute append ::/0 via ${CALICO[6]} dev eth0 metric 1024`,
    ],
    ['there is another of ovnGateway', `route add default via ${ROUTER[4]} dev net1 proto 143 metric 9`],
    ['all default routes are gone', 'route flush exact 0.0.0.0/0\n-6 route flush exact ::/0'],
  ])('makes it what it was, if %s', async (_, damage) => {
    const living = await make()
    await using _pod = living.pod
    const { netns } = living.pod
    const plain = (all: string[]) => all.map((one) => one.replace(/ proto 14[35]/, ''))
    const before = plain(await routes(netns))
    // Each line by itself: `flush` is none for a batch, and says so if there is nothing to flush.
    for (const line of damage.split('\n')) await configure(netns, line.trim()).catch(() => {})
    expect(plain(await routes(netns)), 'damaged').not.toEqual(before)

    const { found, left } = await repaired(living)

    expect(found).not.toEqual([])
    expect(left).toBe(undefined)
    expect(plain(await routes(netns))).toEqual(before)
    await living.check()
    expect(await repaired(living)).toEqual({ found: [], ops: [] })
    expect(await paths(netns, UNDERLAY[4], INTERNET[4], UNDERLAY[6], INTERNET[6])).toEqual(separatePaths([4, 6]))
  })
})

test('packets follow a set, and a flow to what it leads to before and afterwards loses none', async () => {
  const living = await calicoFirst()
  await using _pod = living.pod
  const { netns, underlay } = living.pod
  const flowing = await flow(netns, underlay, UNDERLAY[4], UNDERLAY[6])
  const more = ['203.0.113.0/24', '2001:db8:113::/48']
  putSet(...PREFIXES, ...more)
  expect((await repaired(living)).ops).toHaveLength(more.length)
  expect(await call(netns, INTERNET[4], INTERNET[6])).toEqual({
    [INTERNET[4]]: 'underlay sees 10.199.3.153',
    [INTERNET[6]]: 'underlay sees fd00:10:199::153',
  })
  const many = (n: number) => Array.from({ length: 200 }, (_, i) => [`10.${n}.${i}.0/24`, `fd00:${n}:${i}::/48`]).flat()
  for (let round = 0; round < 10; round++) {
    putSet(...PREFIXES, ...many(60))
    await repaired(living)
    // Nothing but what comes last leads there.
    putSet(...many(61), '10.48.0.0/12', 'fd00:10::/32')
    expect((await repaired(living)).ops).toHaveLength(2 * 402)
  }
  putSet(...PREFIXES)
  await repaired(living)
  const told = await flowing.end()
  expect(told).toEqual({
    [UNDERLAY[4]]: { sent: expect.any(Number), lost: 0 },
    [UNDERLAY[6]]: { sent: expect.any(Number), lost: 0 },
  })
  expect(told[UNDERLAY[4]]?.sent).toBeGreaterThan(500)
  expect(await paths(netns, UNDERLAY[4], INTERNET[4], UNDERLAY[6], INTERNET[6])).toEqual(separatePaths([4, 6]))
  await living.check()
})

test('a step that the kernel refuses is rolled back, whatever came before it', async () => {
  const pod = await site()
  await using _pod = pod
  putSet(...PREFIXES)
  const eth0 = await attachCalico(pod)
  const routesOf = [{ set: 'underlay' }, { set: 'far', gw: '192.0.2.1' }]
  writeFileSync(path.join(setsDir, 'far'), '')
  const living = await attached(pod, [eth0, { routes: routesOf, prevResult: calicoResult(eth0) }])
  writeFileSync(path.join(setsDir, 'far'), '10.99.0.0/16')
  putSet('fd00:10:50::/48', '10.51.0.0/16')
  await configure(pod.netns, `route add default via ${CALICO[4]} dev eth0`)
  const { before, after } = await changes(pod.netns, async () => {
    const { code, message, details } = await failure(repaired(living))
    expect({ code, message, details }).toEqual({
      code: 100,
      message:
        'eth0: routes[1] (far:1): ip refused it: Nexthop has invalid gateway ("route add 10.99.0.0/16 via 192.0.2.1 dev eth0 proto 142"); 192.0.2.1 is not on-link on eth0; leave out "gw" to use the next hop of eth0, or add "onlink": true',
      details: expect.stringMatching(/^rolled back by: route del 10\.51\.0\.0\/16 .*; the pod's routes are unchanged$/),
    })
  })
  expect(after).toBe(before)
})

test('nothing is touched if it is not agreed to, is refused, or cannot be read', async () => {
  const living = await calicoFirst()
  await using _pod = living.pod
  const { netns, path: own } = living.pod
  await configure(netns, `route del 10.50.0.0/16\nroute add 10.50.0.0/16 via ${ROUTER[4]} dev net1 metric 3`)
  const { before, after } = await changes(netns, async () => {
    const asked: string[][] = []
    const said = await repair(living.asked, own, {
      withNetns,
      readSet,
      agree: (lines) => {
        asked.push([...lines])
        return false
      },
    })
    expect(asked).toEqual([['route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142']])
    expect(said.ops.map(batchLine)).toEqual(asked[0])
    expect(said.found).toEqual([
      'eth0: routes[0] (underlay:1): missing: 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
    expect(said.left).toBeDefined()

    rmSync(path.join(setsDir, 'underlay'))
    expect((await failure(repaired(living))).code).toBe(11)
    putSet('10.50.0.1/16')
    expect((await failure(repaired(living))).code).toBe(7)
    putSet(...PREFIXES)
    const missing = living.asked.map((one) => ({ ...one, ifname: 'net9' }))
    expect(await repaired({ pod: living.pod, asked: [...living.asked, ...missing.slice(0, 1)] })).toEqual({
      found: ['the pod has no interface net9'],
      ops: [],
      left: 'the pod has no interface net9',
    })
  })
  expect(after).toBe(before)
  await configure(netns, `route add 10.50.0.0/16 via ${ROUTER[4]} dev net1`)
  const { found, left } = await repaired(living)
  expect(left).toBeDefined()
  expect(found[0]).toMatch(/^eth0: routes\[0\] \(underlay:1\): the pod already has another route to 10\.50\.0\.0\/16/)
})

test('our own network namespace is never repaired', async () => {
  const living = await calicoFirst()
  await using _pod = living.pod
  const act = repair(living.asked, '/proc/self/ns/net', { withNetns, readSet, agree: () => expect.fail('asked') })
  expect((await failure(act)).code).toBe(8)
})

test('what a dry attachment would have is not looked at, and its NIC is left alone', async () => {
  const living = await calicoFirst()
  await using _pod = living.pod
  const { netns } = living.pod
  await configure(netns, 'route del 10.50.0.0/16')
  const dry = living.asked.map((one) => ({ ...one, conf: { ...one.conf, dryRun: true } }))
  const { before, after } = await changes(netns, async () => {
    expect(await repaired({ pod: living.pod, asked: dry })).toEqual({ found: [], ops: [] })
  })
  expect(after).toBe(before)
})

test('says what sends packets elsewhere, which is not ours to change', async () => {
  const living = await calicoFirst()
  await using _pod = living.pod
  const { netns } = living.pod
  await configure(
    netns,
    `rule add to 10.50.0.0/16 lookup 77\nroute add 10.50.0.0/16 via ${ROUTER[4]} dev net1 table 77`,
  )
  const { found, left } = await repaired(living)
  expect(found).toEqual([
    'eth0: routes[0] (underlay:1): packets to 10.50.0.0/16 do not take this route: an "ip rule" sends them to table 77, via 10.0.1.1 dev net1',
  ])
  expect(left).toBe('the routes are as configured, and what sends packets elsewhere is not ours to change')
  await configure(netns, 'route del 10.50.0.0/16 dev eth0')
  expect((await repaired(living)).left).toMatch(/not ours to change: eth0: routes\[0\] \(underlay:1\): packets to/)
  expect(await routes(netns)).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
})

test('a tenant who keeps changing routes gains nothing: it ends, and another repair sets it right', async () => {
  const living = await calicoFirst()
  await using _pod = living.pod
  const { netns } = living.pod
  let stop = false
  const tenant = (async () => {
    while (!stop)
      await configure(netns, 'route del 10.50.0.0/16\n-6 route flush proto 142').catch(() =>
        configure(netns, `route replace 10.50.0.0/16 via ${ROUTER[4]} dev net1 proto 142`),
      )
  })()
  const codes = new Set<number>()
  for (let i = 0; i < 20; i++) await repaired(living).catch((error: CniError) => codes.add(error.code))
  stop = true
  await tenant
  for (const code of codes) expect([100, 101]).toContain(code)
  await repaired(living)
  await living.check()
  expect(await repaired(living)).toEqual({ found: [], ops: [] })
})

test('a set of 10,000 prefixes is replaced by another in a pod with 20,000 routes of others', async () => {
  const pod = await site()
  await using _pod = pod
  const prefixes = (first: number) => Array.from({ length: 10_000 }, (_, i) => `10.${first + (i >> 8)}.${i & 255}.0/24`)
  putSet(...prefixes(100))
  const eth0 = await attachCalico(pod)
  const living = await attached(pod, [eth0, { routes: [{ set: 'underlay' }], prevResult: calicoResult(eth0) }])
  const theirs = Array.from(
    { length: 20_000 },
    (_, i) => `route add 172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255} dev eth0`,
  )
  await execa('ip', ['-n', pod.netns, '-batch', '-'], { input: theirs.join('\n') })
  putSet(...prefixes(150))
  // This machine may be busy, and the memory of this process takes time to clean up.
  const inTime: WithNetns = (netns, limit, use) => withNetns(netns, 6 * limit, use)
  const { ops } = await repair(living.asked, pod.path, { withNetns: inTime, readSet, agree: () => true })
  expect(ops).toHaveLength(20_000)
  const after = await routes(pod.netns)
  expect(after.filter((one) => one.endsWith('proto 142'))).toHaveLength(10_000)
  expect(after.filter((one) => one.startsWith('172.'))).toHaveLength(20_000)
  await living.check()
})
