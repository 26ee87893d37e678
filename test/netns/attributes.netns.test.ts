/** Every attribute that src/net/attributes.ts declares, on the real kernel: what it takes, prints, keeps and gives back. */
import { afterEach, describe, expect, test } from 'vitest'
import { ALL_ATTRIBUTES, EXAMPLES, wordsFor } from '../support/attributes.ts'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, configure, inNetns, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import type { CniVersion } from '../support/runtime.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const FAMILIES = [
  {
    family: 4,
    dst: '10.60.0.0/16',
    any: 'default',
    gw: CALICO[4],
    unreachable: { dst: '10.99.0.0/16', gw: '192.0.2.1' },
  },
  {
    family: 6,
    dst: 'fd00:10:60::/64',
    any: '::/0',
    gw: CALICO[6],
    unreachable: { dst: 'fd00:99::/64', gw: '2001:db8::1' },
  },
] as const

/** The attributes of a route as ip prints them, in pairs and sorted: ip has an order of its own. */
async function wordsOf({ netns }: CalicoPod, family: 4 | 6, dst: string, dev = 'eth0'): Promise<string[]> {
  const text = await inNetns(netns, 'ip', [`-${family}`, 'route', 'show', 'table', 'all', dst, 'dev', dev])
  const noise = /(?:^\S+|\s(?:proto \S+|scope link|metric \d+|via \S+|src \S+|linkdown|pref medium))(?=\s|$)/g
  return sorted(text.replaceAll(noise, ' '))
}

const sorted = (words: string) => (words.trim().match(/\S+ \S+/g) ?? []).sort()

const ALL_WORDS = EXAMPLES.map(({ name, values: [value] }) => wordsFor(name, value)).join(' ')

/** The last case has all of them at once. */
const CASES = [
  ...EXAMPLES.map(({ name, values: [value, another] }) => ({
    name: name as string,
    keys: { [name]: value } as object,
    words: wordsFor(name, value),
    others: wordsFor(name, another),
    told: name === 'mtu' || name === 'advmss' ? { [name]: value } : {},
  })),
  {
    name: 'all of them',
    keys: ALL_ATTRIBUTES,
    words: ALL_WORDS,
    others: EXAMPLES.map(({ name, values: [, another] }) => wordsFor(name, another)).join(' '),
    told: { mtu: ALL_ATTRIBUTES.mtu, advmss: ALL_ATTRIBUTES.advmss },
  },
].flatMap((one) => FAMILIES.map((of) => ({ ...one, ...of })))

describe.each(CASES)('$name of IPv$family', ({ family, dst, any, gw, keys, words, others, told, unreachable }) => {
  const prevResult = (pod: CalicoPod, cniVersion: CniVersion = '1.1.0') => calicoResult(pod, { cniVersion })
  const expected = sorted(words)

  /** The NIC's default route with the attributes, or without. */
  const defaultWith = (more: string) =>
    `route replace ${any} via ${gw} dev eth0${family === 6 ? ' metric 1024' : ''} ${more}`

  test('configured: ADD gives it, again without a change, CHECK looks for it, DEL takes the route away', async () => {
    const pod = await calicoPod()
    const config = { cniVersion: '1.1.0' as const, routes: [{ dst, ...keys }], prevResult: prevResult(pod) }
    const before = await routes(pod.netns)
    const result = await add(pod, config)
    expect(await wordsOf(pod, family, dst)).toEqual(expected)
    expect((result.routes ?? []).filter((route) => route.dst === dst)).toEqual([{ dst, gw, ...told }])
    const again = await changes(pod.netns, async () => expect(await add(pod, config)).toEqual(result))
    expect(again.after).toBe(again.before)
    await check(pod, { ...config, prevResult: result })

    for (const change of [others, '']) {
      await configure(pod.netns, `route replace ${dst} via ${gw} dev eth0 proto 142 ${change}`)
      const { code, details } = await fails('CHECK', pod, { ...config, prevResult: result })
      expect({ code, details }).toEqual({
        code: 110,
        details: expect.stringMatching(/^routes\[0\]: expected .*, found /),
      })
      expect(details).toContain(words)
      await add(pod, config)
      await check(pod, { ...config, prevResult: result })
    }

    await del(pod, config)
    expect((await routes(pod.netns)).filter((line) => line.includes('proto 142'))).toEqual([])
    expect(await routes(pod.netns)).toEqual(before.filter((line) => !/^default/.test(line)))
  })

  test('of the default route: it comes along if a Result reports it; CHECK and ADD again know it', async () => {
    const pod = await calicoPod()
    await configure(pod.netns, defaultWith(words))
    const config = { cniVersion: '1.1.0' as const, routes: [{ dst }], prevResult: prevResult(pod) }
    const result = await add(pod, config)
    const learnt = Object.entries(told).map(([key, value]) => `${key} ${value}`)
    expect(await wordsOf(pod, family, dst)).toEqual(learnt.sort())
    expect((result.routes ?? []).filter((route) => route.dst === dst)).toEqual([{ dst, gw, ...told }])
    const again = await changes(pod.netns, async () => expect(await add(pod, config)).toEqual(result))
    expect(again.after).toBe(again.before)
    await check(pod, { ...config, prevResult: result })
    // A tenant changes it, or sets it.
    const changed = learnt.length > 0 ? others : words
    await configure(pod.netns, `route replace ${dst} via ${gw} dev eth0 proto 142 ${changed}`)
    expect(await fails('CHECK', pod, { ...config, prevResult: result })).toMatchObject({ code: 110 })
  })

  test('of a default route: a rollback brings it back', async () => {
    const pod = await calicoPod()
    await configure(pod.netns, defaultWith(words))
    for (const defaultRoute of ['remove', 'demote'] as const) {
      const { before, after } = await changes(pod.netns, async () => {
        const config = { defaultRoute, routes: [{ dst }, unreachable], prevResult: prevResult(pod, '1.0.0') }
        expect(await fails('ADD', pod, config)).toMatchObject({ code: 100 })
      })
      expect(after).toBe(before)
    }
    expect(await wordsOf(pod, family, any)).toEqual(expected)
  })

  test('of a default route: it is demoted and given back with it', async () => {
    const pod = await calicoPod()
    await configure(pod.netns, defaultWith(words))
    const config = { defaultRoute: 'demote', prevResult: prevResult(pod, '1.0.0') } as const
    const { before, after } = await changes(pod.netns, async () => {
      await add(pod, config)
      expect(await wordsOf(pod, family, any)).toEqual(expected)
      expect((await routes(pod.netns)).filter((line) => /^default/.test(line))).toEqual([
        expect.stringContaining('proto 144 metric 40'),
        expect.stringContaining('proto 144 metric 40'),
      ])
      await del(pod, config)
    })
    expect(after).toBe(before)
  })
})

describe.each(FAMILIES)('all attributes of an IPv$family default route', ({ family, any, gw, dst, unreachable }) => {
  test('are restored with it by ovnGateway', async () => {
    const pod = await calicoPod()
    const nic = await ovnNic(pod, { defaults: 'metric 100' })
    const via = family === 4 ? '10.0.1.1' : 'fd00:10:0:1::1'
    await configure(pod.netns, `route replace ${any} via ${via} dev net1 metric 100 ${ALL_WORDS}`)
    await add(nic, { defaultRoute: 'demote', prevResult: nic.result })
    await add(pod, { ovnGateway: 'auto', prevResult: calicoResult(pod) })
    expect((await routes(pod.netns)).filter((line) => /^default/.test(line))).toEqual([
      expect.stringMatching(/^default via 10\.0\.1\.1 dev net1 proto 145 metric 100/),
      expect.stringMatching(/^default via fd00:10:0:1::1 dev net1 proto 145 metric 100/),
    ])
    expect(await wordsOf(pod, family, any, 'net1')).toEqual(sorted(ALL_WORDS))
  })

  test('stay, where it has several next hops, on what remains of it, and come back', async () => {
    const pod = await calicoPod()
    const nic = await ovnNic(pod)
    const via = family === 4 ? '10.0.1.1' : 'fd00:10:0:1::1'
    await configure(
      pod.netns,
      `route del ${any}
      route add ${any} ${ALL_WORDS} nexthop via ${gw} dev eth0 nexthop via ${via} dev net1`,
    )
    const { before, after } = await changes(pod.netns, async () => {
      const config = { routes: [{ dst }, unreachable], prevResult: calicoResult(pod) }
      expect(await fails('ADD', pod, config)).toMatchObject({ code: 100 })
    })
    expect(after).toBe(before)
    await add(nic, { prevResult: nic.result })
    expect(await wordsOf(pod, family, any)).toEqual(sorted(ALL_WORDS))
  })
})

describe('a congestion control algorithm', () => {
  const conf = (pod: CalicoPod, congctl: string) => ({
    routes: [{ dst: '10.60.0.0/16', congctl }],
    prevResult: calicoResult(pod),
  })

  test('that no kernel has is refused with what to do, and the pod is as it was', async () => {
    const pod = await calicoPod()
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = await fails('ADD', pod, conf(pod, 'nosuch'))
      expect({ code, msg }).toEqual({
        code: 100,
        msg: expect.stringMatching(
          /^routes\[0\]: .*; this node's kernel does not have "nosuch"; load the module tcp_nosuch, or write a "congctl" that /,
        ),
      })
    })
    expect(after).toBe(before)
  })

  test.each(['lock', 'a b', 'a\nroute flush table main', '-x', 'a'.repeat(16)])(
    'cannot be called %j',
    async (congctl) => {
      const pod = await calicoPod()
      const { before, after } = await changes(pod.netns, async () => {
        const { code, msg } = await fails('ADD', pod, conf(pod, congctl))
        expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^routes\[0\]\.congctl: .*"cubic"/) })
      })
      expect(after).toBe(before)
    },
  )

  test('that is locked goes with the default route', async () => {
    const pod = await calicoPod()
    await configure(pod.netns, 'route replace default via 169.254.1.1 dev eth0 congctl lock reno')
    const { after } = await changes(pod.netns, () => add(pod, { prevResult: calicoResult(pod) }))
    expect(after).not.toContain('congctl')
  })
})

test.each(['hoplimit lock 0', 'mtu lock 0'])('%s of a default route is no attribute', async (words) => {
  const pod = await calicoPod()
  await configure(pod.netns, `route replace default via 169.254.1.1 dev eth0 ${words}`)
  await add(pod, { defaultRoute: 'keep', routes: [{ dst: '10.60.0.0/16' }], prevResult: calicoResult(pod) })
  expect(await routes(pod.netns)).toContain('10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142')
})

test('a switch that is off is absent', async () => {
  const pod = await calicoPod()
  const config = { routes: [{ dst: '10.60.0.0/16', quickack: false, initcwnd: 20 }], prevResult: calicoResult(pod) }
  const result = await add(pod, config)
  expect(await routes(pod.netns)).toContain('10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142 initcwnd 20')
  await check(pod, { ...config, prevResult: result })
  await configure(pod.netns, 'route replace 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142 initcwnd 20 quickack 1')
  expect(await fails('CHECK', pod, { ...config, prevResult: result })).toMatchObject({ code: 110 })
  await add(pod, config)
  await check(pod, { ...config, prevResult: result })
})
