import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod, UNDERLAY } from '../support/calico.ts'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { call, host } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { type Config, environment, run } from '../support/runtime.ts'
import { add, check, del, fails } from '../support/verbs.ts'

let setsDir: string
beforeEach(() => {
  setsDir = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
})
afterEach(() => {
  rmSync(setsDir, { recursive: true })
  removeNamespaces()
})

const at = (name: string) => path.join(setsDir, name)
const write = (name: string, ...lines: string[]) => writeFileSync(at(name), lines.map((line) => `${line}\n`).join(''))
const conf = (pod: CalicoPod, entries: object[], more: object = {}): Config & object => ({
  setsDir,
  routes: entries,
  prevResult: calicoResult(pod),
  ...more,
})
const ours = async (netns: string) => (await routes(netns)).filter((route) => / proto 142\b/.test(route))
const V4 = `via ${CALICO[4]} dev eth0 proto 142`
const V6 = `via ${CALICO[6]} dev eth0 proto 142 metric 1024`

describe('ADD with a set', () => {
  test('makes its routes in both families, reports them, and packets take them', async () => {
    const pod = await calicoPod()
    await using _underlay = await host(pod.underlay, 'underlay')
    write('underlay', '# the data centre', '10.50.0.0/16', 'fd00:10:50::/64 # both')
    const config = conf(pod, [{ set: 'underlay' }, { dst: '10.199.0.0/16' }])

    const result = await add(pod, config)

    expect(await ours(pod.netns)).toEqual([`10.199.0.0/16 ${V4}`, `10.50.0.0/16 ${V4}`, `fd00:10:50::/64 ${V6}`])
    expect(result.routes).toEqual([
      { dst: '10.50.0.0/16', gw: CALICO[4] },
      { dst: 'fd00:10:50::/64', gw: CALICO[6] },
      { dst: '10.199.0.0/16', gw: CALICO[4] },
    ])
    expect(await call(pod.netns, UNDERLAY[4], UNDERLAY[6])).toEqual({
      '10.50.31.21': 'underlay sees 10.199.3.153',
      'fd00:10:50::21': 'underlay sees fd00:10:199::153',
    })
    await check(pod, { ...config, prevResult: result })
    expect(await add(pod, config)).toEqual(result)
  })

  test('again, after the set has grown, makes the new routes by the same next hops', async () => {
    const pod = await calicoPod()
    write('underlay', '10.50.0.0/16', 'fd00:10:50::/64')
    const config = conf(pod, [{ set: 'underlay', mtu: 1400 }])
    await add(pod, config)
    write('underlay', '10.50.0.0/16', '10.60.0.0/16', 'fd00:10:50::/64', 'fd00:10:60::/64')
    const { routes: reported } = await add(pod, config)
    expect(reported).toHaveLength(4)
    expect(await ours(pod.netns)).toEqual([
      `10.50.0.0/16 ${V4} mtu 1400`,
      `10.60.0.0/16 ${V4} mtu 1400`,
      `fd00:10:50::/64 ${V6} mtu 1400`,
      `fd00:10:60::/64 ${V6} mtu 1400`,
    ])
  })

  test('lets an entry with "dst" and an earlier set win', async () => {
    const pod = await calicoPod()
    write('underlay', '10.50.0.0/16', '10.60.0.0/16')
    write('storage', '10.60.0.0/16', '10.70.0.0/16')
    await add(pod, conf(pod, [{ set: 'storage', mtu: 9000 }, { set: 'underlay' }, { dst: '10.70.0.0/16', mtu: 1400 }]))
    expect(await ours(pod.netns)).toEqual([
      `10.50.0.0/16 ${V4}`,
      `10.60.0.0/16 ${V4} mtu 9000`,
      `10.70.0.0/16 ${V4} mtu 1400`,
    ])
  })

  test('of no prefixes makes no routes', async () => {
    const pod = await calicoPod()
    write('underlay', '# nothing yet')
    await add(pod, conf(pod, [{ set: 'underlay' }]))
    expect(await ours(pod.netns)).toEqual([])
  })

  test('reads it through a symbolic link', async () => {
    const pod = await calicoPod()
    write('..2026', '10.50.0.0/16')
    symlinkSync('..2026', at('underlay'))
    await add(pod, conf(pod, [{ set: 'underlay' }]))
    expect(await ours(pod.netns)).toEqual([`10.50.0.0/16 ${V4}`])
  })

  test('of a pod that may choose it takes its prefixes within the bounds alone', async () => {
    const pod = await calicoPod()
    write('inside', '10.50.0.0/17', 'fd00:10:50::/64')
    write('outside', '10.50.0.0/17', '10.60.0.0/16')
    const overrides = { allow: ['routes'], within: ['10.50.0.0/16', 'fd00:10::/32'] }
    const asking = (set: string) => conf(pod, [{ set: 'new' }], { overrides, args: { cni: { routes: [{ set }] } } })
    const { before, after } = await changes(pod.netns, async () => {
      expect(await fails('ADD', pod, asking('outside'))).toMatchObject({
        code: 120,
        msg: `args.cni.routes[0].set: ${at('outside')}:2: 10.60.0.0/16 is outside "overrides.within" (10.50.0.0/16, fd00:10::/32)`,
      })
    })
    expect(after).toBe(before)
    await add(pod, asking('inside'))
    expect(await ours(pod.netns)).toEqual([`10.50.0.0/17 ${V4}`, `fd00:10:50::/64 ${V6}`])
  })

  test('that is refused by the kernel leaves the pod as it was, and names the line', async () => {
    const pod = await calicoPod()
    write('underlay', '10.50.0.0/16', '10.60.0.0/16')
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = await fails('ADD', pod, conf(pod, [{ set: 'underlay', gw: '192.0.2.1' }]))
      expect({ code, msg }).toEqual({ code: 100, msg: expect.stringMatching(/^routes\[0\] \(underlay:1\): /) })
    })
    expect(after).toBe(before)
  })
})

describe('a set that is not there yet', () => {
  test('fails ADD by code 11, the pod untouched; when it comes, the next try succeeds', async () => {
    const pod = await calicoPod()
    const config = conf(pod, [{ dst: '10.199.0.0/16' }, { set: 'underlay' }])
    const { before, after } = await changes(pod.netns, async () => {
      expect(await fails('ADD', pod, config)).toEqual({
        cniVersion: '1.0.0',
        code: 11,
        msg: `routes[1].set: ${at('underlay')}: does not exist yet; add "underlay" to the agent's ConfigMap, or write the file yourself`,
      })
    })
    expect(after).toBe(before)
    write('underlay', '10.50.0.0/16')
    await add(pod, config)
    expect(await ours(pod.netns)).toEqual([`10.199.0.0/16 ${V4}`, `10.50.0.0/16 ${V4}`])
  })

  test('is looked for in /var/lib/x-calico-route/sets, if the configuration does not say where', async () => {
    const pod = await calicoPod()
    const { setsDir: _, ...config } = conf(pod, [{ set: 'xcr-test-no-such-set' }])
    expect(await fails('ADD', pod, config)).toMatchObject({
      code: 11,
      msg: expect.stringMatching(
        /^routes\[0\]\.set: \/var\/lib\/x-calico-route\/sets\/xcr-test-no-such-set: does not exist/,
      ),
    })
  })

  test('fails by code 7 if anything else is wrong', async () => {
    const pod = await calicoPod()
    expect(await fails('ADD', pod, conf(pod, [{ set: 'underlay' }, { dst: '10.50.0.1/16' }]))).toMatchObject({
      code: 7,
      msg: expect.stringMatching(/^routes\[1\]\.dst: /),
      details: expect.stringMatching(/^routes\[0\]\.set: .* does not exist yet; /),
    })
  })
})

describe('refused, the pod untouched:', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`)

  test.each<[string, () => void, string]>([
    ['a wrong line', () => write('a', '10.50.0.0/16', 'x'), ':2: "x" is not an IP prefix; write one such as'],
    ['host bits', () => write('a', '10.50.0.1/16'), ':1: "10.50.0.1/16" has host bits set; write 10.50.0.0/16'],
    ['a default route', () => write('a', '::/0'), ':1: ::/0 is the default route, which no set can have; write'],
    ['a FIFO', () => void execFileSync('mkfifo', [at('a')]), ': is not a regular file; write the prefixes into one'],
    ['a directory', () => mkdirSync(at('a')), ': is not a regular file; write the prefixes into one'],
    ['a device', () => symlinkSync('/dev/zero', at('a')), ': is not a regular file; write the prefixes into one'],
    [
      'a byte more than 1 MiB',
      () => writeFileSync(at('a'), '10.50.0.0/16\n'.padEnd(1024 * 1024 + 1, '#')),
      ': has 1048577 bytes; the limit is 1048576',
    ],
    ['10,001 prefixes', () => write('a', ...many(10_001)), ': has 10001 prefixes; the limit is 10000'],
  ])('%s', async (_, make, says) => {
    make()
    const pod = await calicoPod()
    const { before, after } = await changes(pod.netns, async () => {
      for (const verb of ['ADD', 'CHECK'] as const) {
        const { code, msg } = await fails(verb, pod, conf(pod, [{ set: 'a' }]))
        expect({ code, msg }).toEqual({ code: 7, msg: expect.stringContaining(`routes[0].set: ${at('a')}${says}`) })
      }
    })
    expect(after).toBe(before)
  })

  test('10,001 routes in all', async () => {
    write('a', ...many(9_999))
    const pod = await calicoPod()
    const entries = [{ dst: '10.50.0.0/16' }, { set: 'a' }, { dst: '10.60.0.0/16' }]
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = await fails('ADD', pod, conf(pod, entries))
      expect({ code, msg }).toEqual({ code: 7, msg: 'routes[1].set: brings the routes to 10001; the limit is 10000' })
    })
    expect(after).toBe(before)
  })
})

test('a set of 10,000 prefixes comes and goes', async () => {
  const pod = await calicoPod()
  write('a', ...Array.from({ length: 10_000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`))
  const config = conf(pod, [{ set: 'a' }])
  const prevResult = await add(pod, config)
  expect(await ours(pod.netns)).toHaveLength(10_000)
  await check(pod, { ...config, prevResult })
  await del(pod, { ...config, prevResult })
  expect(await ours(pod.netns)).toEqual([])
})

describe('CHECK', () => {
  test('tells each difference to a set that has changed, by its line', async () => {
    const pod = await calicoPod()
    write('underlay', '10.50.0.0/16', '10.60.0.0/16', 'fd00:10:60::/64')
    const config = conf(pod, [{ set: 'underlay' }])
    const checked = { ...config, prevResult: await add(pod, config) }
    await check(pod, checked)
    write('underlay', '# moved', '10.50.0.0/16', '10.80.0.0/16', '10.60.0.0/16', 'fd00:10:50::/64')
    await configure(pod.netns, 'route del 10.60.0.0/16')
    expect(await fails('CHECK', pod, checked)).toMatchObject({
      code: 110,
      details: [
        `routes[0] (underlay:3): missing: 10.80.0.0/16 ${V4}`,
        `routes[0] (underlay:4): missing: 10.60.0.0/16 ${V4}`,
        `routes[0] (underlay:5): missing: fd00:10:50::/64 ${V6}`,
      ].join('; '),
    })
  })

  test('asks to try again if the set is gone', async () => {
    const pod = await calicoPod()
    write('underlay', '10.50.0.0/16')
    const config = conf(pod, [{ set: 'underlay' }])
    const prevResult = await add(pod, config)
    rmSync(at('underlay'))
    expect((await fails('CHECK', pod, { ...config, prevResult })).code).toBe(11)
  })
})

describe('DEL', () => {
  test.each<[string, () => void]>([
    ['is as it was', () => {}],
    ['is gone', () => rmSync(at('underlay'))],
    ['is wrong now', () => write('underlay', 'x')],
    ['is another now', () => write('underlay', '10.99.0.0/16')],
  ])('removes the routes of a set that %s', async (_, change) => {
    const pod = await calicoPod()
    write('underlay', '10.50.0.0/16', 'fd00:10:50::/64')
    const config = conf(pod, [{ set: 'underlay' }, { dst: '10.199.0.0/16' }])
    const prevResult = await add(pod, config)
    expect(await ours(pod.netns)).toHaveLength(3)
    change()
    await del(pod, { ...config, prevResult })
    expect(await ours(pod.netns)).toEqual([])
  })

  test.each<[string, () => void, number]>([
    ['as far as the set is there', () => {}, 0],
    ['but not those of a set that is gone', () => rmSync(at('vpc')), 2],
  ])('removes the routes that a set has on another NIC, %s', async (_, change, left) => {
    const pod = await calicoPod()
    await ovnNic(pod)
    write('vpc', '10.80.0.0/16', '10.90.0.0/16')
    write('underlay', '10.50.0.0/16')
    const entries = [{ set: 'vpc', dev: 'net1', gw: '10.0.1.1' }, { set: 'underlay' }]
    const config = conf(pod, [...entries, { dst: '10.70.0.0/16', dev: 'net1', gw: '10.0.1.1' }])
    const prevResult = await add(pod, config)
    expect(await ours(pod.netns)).toHaveLength(4)
    change()
    await del(pod, { ...config, prevResult })
    expect(await ours(pod.netns)).toHaveLength(left)
  })
})

test('a dry ADD with a set tells what it would do', async () => {
  const pod = await calicoPod()
  write('underlay', '10.50.0.0/16')
  const logFile = at('log')
  const { before, after } = await changes(pod.netns, async () => {
    const config = conf(pod, [{ set: 'underlay' }], { dryRun: true, logFile })
    await fails('ADD', pod, { ...config, routes: [{ set: 'new' }] })
    const { stderr, exitCode } = await run(environment('ADD', pod), config)
    expect(exitCode).toBe(0)
    expect(stderr).toContain(`route add 10.50.0.0/16 ${V4}`)
  })
  expect(after).toBe(before)
})
