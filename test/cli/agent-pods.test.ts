import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { INTERNET, POD, UNDERLAY } from '../support/calico.ts'
import { parseExposition } from '../support/exposition.ts'
import { configure, netnsPath, removeNamespaces, routes } from '../support/netns.ts'
import { call, flow, host } from '../support/packets.ts'
import { agent, listening, page, severalLooks } from './agent.ts'
import {
  ALL_ROUTES,
  follows,
  INTERNET_SET,
  LIMIT_MS,
  Node,
  nodeWith,
  oursOf,
  UNDERLAY_ROUTES,
  UNDERLAY_SET,
} from './living-pods.ts'

afterEach(removeNamespaces)

describe('a set that changes', () => {
  test('reaches living pods in seconds, by packets in both families, and a flow on what stays loses none', async () => {
    const { node, running } = await nodeWith('--interval', '60')
    const [pod, other] = [await (await node.pod('aaa')).attach(), await (await node.pod('bbb')).attach()]
    await using _ = await host(pod.pod.underlay, 'underlay')
    const wanted = [UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6]] as const
    const before = await call(pod.pod.netns, ...wanted)
    expect(before).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}`,
      [UNDERLAY[6]]: `underlay sees ${POD[6]}`,
      [INTERNET[4]]: 'ENETUNREACH',
      [INTERNET[6]]: 'ENETUNREACH',
    })

    const flowing = await flow(pod.pod.netns, pod.pod.underlay, UNDERLAY[4], UNDERLAY[6])
    for (const [text, expected] of [
      [UNDERLAY_SET + INTERNET_SET, ALL_ROUTES],
      [UNDERLAY_SET, UNDERLAY_ROUTES],
      [UNDERLAY_SET + INTERNET_SET, ALL_ROUTES],
    ] as const) {
      const started = performance.now()
      node.map.write({ underlay: text })
      await Promise.all([follows(pod, expected, LIMIT_MS), follows(other, expected, LIMIT_MS)])
      expect(performance.now() - started).toBeLessThan(LIMIT_MS)
    }
    expect(await call(pod.pod.netns, ...wanted)).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}`,
      [UNDERLAY[6]]: `underlay sees ${POD[6]}`,
      [INTERNET[4]]: `underlay sees ${POD[4]}`,
      [INTERNET[6]]: `underlay sees ${POD[6]}`,
    })
    const flows = await flowing.end()
    for (const { sent, lost } of Object.values(flows)) {
      expect(sent).toBeGreaterThan(500)
      expect(lost).toBe(0)
    }
    await pod.call('CHECK')
    await running.until('pod repaired')
    expect(running.all().find(({ msg }) => msg === 'pod repaired')).toMatchObject({
      level: 'info',
      pod: expect.stringMatching(/^tenant\/(aaa|bbb)$/),
      changes: expect.arrayContaining([expect.stringMatching(/^\+ 203\.0\.113\.0\/24 .*underlay:4/)]),
    })
    await running.end()
  })

  test('while the agent was away reaches them when it is back, and a pod whose ADD was under way too', async () => {
    const { node, running } = await nodeWith('--interval', '1')
    const pod = await (await node.pod('aaa')).attach()
    await running.end()
    node.map.write({ underlay: UNDERLAY_SET + INTERNET_SET })
    // An operator has an emergency, which is none of the agent's business.
    await configure(pod.pod.netns, 'route add default via 169.254.1.1 dev eth0')
    const again = agent(node.words('--interval', '1'))
    await follows(pod, ALL_ROUTES, LIMIT_MS)
    await again.end()
    expect(await routes(pod.pod.netns)).toContainEqual(expect.stringMatching(/^default via 169\.254\.1\.1 /))

    // The copy is new, and the agent before did not live to repair the pod.
    await configure(pod.pod.netns, 'route del 203.0.113.0/24')
    const telling = agent(node.words('--interval', '1'))
    await telling.until('attachment: differs')
    await severalLooks()
    expect(await oursOf(pod)).not.toContain('203.0.113.0/24')
    await telling.end()
    const mending = agent(node.words('--interval', '1', '--repair'))
    await follows(pod, ALL_ROUTES, LIMIT_MS)
    await mending.end()

    // Pods wait for the first look at the sets, or each would be told as one that lacks its set.
    rmSync(node.at('sets'), { recursive: true })
    const third = agent(node.words('--interval', '1'))
    await third.until(/^ready$/)
    await severalLooks()
    expect(third.all().filter(({ level }) => level !== 'info')).toEqual([])

    const late = await node.pod('bbb')
    await late.attach()
    late.forget()
    node.map.write({ underlay: UNDERLAY_SET })
    await follows(pod, UNDERLAY_ROUTES, LIMIT_MS)
    late.remember()
    await follows(late, UNDERLAY_ROUTES, LIMIT_MS)
    await third.end()
  })

  test('gives way to no pod that does not answer: the others follow in time', { timeout: 180_000 }, async () => {
    const { node, running } = await nodeWith('--interval', '2')
    const pods = [await (await node.pod('aaa')).attach(), await (await node.pod('bbb')).attach()]
    const bad = await (await node.pod('bad')).attach()
    await severalLooks()
    // So many routes that a look takes as long as it may.
    const many = Array.from(
      { length: 60_000 },
      (_, i) => `route add 20.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}/32 dev lo`,
    )
    await execa('ip', ['-n', bad.pod.netns, 'link', 'set', 'lo', 'up'])
    await execa('ip', ['-n', bad.pod.netns, '-batch', '-'], { input: `${many.join('\n')}\n` })
    const stop = execa(
      'sh',
      ['-c', `while :; do for p in $(ip netns pids ${bad.pod.netns}); do kill -STOP $p; done; sleep 0.02; done`],
      { reject: false },
    )
    onTestFinished(() => void stop.kill('SIGKILL'))
    await running.until('attachment: error')
    const started = performance.now()
    node.map.write({ underlay: UNDERLAY_SET + INTERNET_SET })
    for (const pod of pods) await follows(pod, ALL_ROUTES, LIMIT_MS)
    expect(performance.now() - started).toBeLessThan(LIMIT_MS)
    stop.kill('SIGKILL')
    await follows(bad, ALL_ROUTES, 60_000)
  })
})

describe('a pod that differs', () => {
  test('is told, counted, and left alone without --repair; and told when it is right again', async () => {
    const { node, running } = await nodeWith('--interval', '1', '--metrics', '0')
    const url = await listening({ until: async () => running.all()[0] ?? expect.fail('said nothing') })
    const pod = await (await node.pod('aaa')).attach()
    // Once it has followed the sets, it is the tenant's.
    await expect.poll(() => repairsOf(url, 'ok'), { timeout: 10_000 }).toBeGreaterThanOrEqual(0)
    await severalLooks()
    await configure(pod.pod.netns, 'route del 10.50.0.0/16')
    expect(await running.until('attachment: differs')).toMatchObject({
      level: 'warn',
      pod: 'tenant/aaa',
      network: 'k8s-pod-network',
      ifname: 'eth0',
      said: [expect.stringMatching(/^routes\[0\] \(underlay:\d+\): missing: 10\.50\.0\.0\/16 /)],
    })
    await severalLooks()
    expect(running.since()).toEqual([])
    expect(await samplesOf(url, 'attachments')).toMatchObject({ differs: 1, ok: 0 })
    expect(await page(`${url}/readyz`)).toMatchObject({ status: 200 })
    await configure(pod.pod.netns, 'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
    await running.until('attachment is as configured again')
    await running.end()
  })

  test('is repaired with --repair, whatever it was; others are not touched', async () => {
    const { node, running } = await nodeWith('--interval', '1', '--repair')
    const [pod, quiet] = [
      await (await node.pod('aaa', [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }])).attach(),
      await (await node.pod('bbb')).attach(),
    ]
    await configure(quiet.pod.netns, 'route add 198.51.100.0/24 via 169.254.1.1 dev eth0')
    const before = await routes(quiet.pod.netns)
    await configure(pod.pod.netns, 'route del 10.50.0.0/16\nroute add default via 169.254.1.1 dev eth0')
    expect(await running.until('pod repaired')).toMatchObject({ pod: 'tenant/aaa' })
    expect(await oursOf(pod)).toEqual(UNDERLAY_ROUTES)
    await pod.call('CHECK')
    expect(await routes(quiet.pod.netns)).toEqual(before)
    await running.end()
  })

  test('again and again is repaired less and less often, and holds up no other', async () => {
    const { node, running } = await nodeWith('--interval', '1', '--repair', '--metrics', '0')
    const url = await listening({ until: async () => running.all()[0] ?? expect.fail('said nothing') })
    const [bad, good] = [await (await node.pod('bad')).attach(), await (await node.pod('good')).attach()]
    const fight = execa(
      'nsenter',
      [`--net=${netnsPath(bad.pod.netns)}`, 'sh', '-c', 'while :; do ip route del 10.50.0.0/16 2>&-; sleep 0.1; done'],
      { reject: false },
    )
    onTestFinished(() => void fight.kill('SIGKILL'))
    await running.until('pod repaired')
    await configure(good.pod.netns, 'route del 10.50.0.0/16')
    await expect.poll(() => oursOf(good), { timeout: 15_000 }).toEqual(UNDERLAY_ROUTES)
    await sleep(12_000)
    // after 0, 1, 3, 7 seconds and what each takes
    const repairs = running.all().filter(({ msg, pod }) => msg === 'pod repaired' && pod === 'tenant/bad')
    expect(repairs.length).toBeGreaterThan(1)
    expect(repairs.length).toBeLessThan(7)
    await expect.poll(() => samplesOf(url, 'pods_held_back'), { timeout: 20_000 }).toEqual({ '': 1 })
    fight.kill('SIGKILL')
    await expect.poll(() => oursOf(bad), { timeout: 60_000 }).toEqual(UNDERLAY_ROUTES)
    await running.end()
  })
})

/** The values of a metric, by the last of its labels. */
async function samplesOf(url: string, name: string): Promise<Record<string, number>> {
  const metric = parseExposition((await page(`${url}/metrics`)).text).find(
    (one) => one.name === `x_calico_route_${name}`,
  )
  return Object.fromEntries(
    metric?.samples.map(({ labels, value }) => [Object.values(labels).at(-1) ?? '', value]) ?? [],
  )
}

const repairsOf = async (url: string, outcome: string) => (await samplesOf(url, 'repairs_total'))[outcome] ?? Number.NaN

test('a set that is put on the node by hand is not the agent’s, and pods use it all the same', async () => {
  const node = new Node({})
  const running = agent(node.words('--interval', '1', '--repair'))
  await running.until(/^ready$/)
  writeFileSync(path.join(node.at('sets'), 'own'), UNDERLAY_SET)
  const pod = await (await node.pod('aaa', [{ set: 'own' }])).attach()
  writeFileSync(path.join(node.at('sets'), 'own'), UNDERLAY_SET + INTERNET_SET)
  await follows(pod, ALL_ROUTES, 15_000)
  await running.end()
})
