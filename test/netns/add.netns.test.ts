import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod, type Family, INTERNET, UNDERLAY } from '../support/calico.ts'
import { changes, configure, dump, removeNamespaces, routes } from '../support/netns.ts'
import { call, host } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { add, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [
  { dst: '10.199.0.0/16' },
  { dst: '10.50.0.0/16' },
  { dst: 'fd00:10:199::/64' },
  { dst: 'fd00:10:50::/64' },
]
const ROUTES_OF = { 4: ROUTES.slice(0, 2), 6: ROUTES.slice(2) } as const

/** The routing table of a pod as Calico leaves it, and as the plugin does. */
const CALICO_LEAVES = {
  4: ['169.254.1.1 dev eth0 scope link', 'default via 169.254.1.1 dev eth0'],
  6: [`default via ${CALICO[6]} dev eth0 metric 1024`, 'fd00:10:199::153 dev eth0 proto kernel metric 256'],
}
const PLUGIN_LEAVES = {
  4: [
    '10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    '169.254.1.1 dev eth0 scope link',
  ],
  6: [
    'fd00:10:199::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
    'fd00:10:199::153 dev eth0 proto kernel metric 256',
    'fd00:10:50::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
  ],
}
const PODS: { title: string; families: Family[] }[] = [
  { title: 'IPv4', families: [4] },
  { title: 'IPv6', families: [6] },
  { title: 'dual-stack', families: [4, 6] },
]

describe('ADD on a pod of Calico', () => {
  test.each(PODS)(
    'takes the default routes away and adds underlay routes by the same next hop: $title',
    async (row) => {
      const pod = await calicoPod(row)
      expect(await routes(pod.netns)).toEqual(row.families.flatMap((family) => CALICO_LEAVES[family]))

      const configured = row.families.flatMap((family) => ROUTES_OF[family])
      const result = await add(pod, { routes: configured, prevResult: calicoResult(pod) })

      expect(await routes(pod.netns)).toEqual(row.families.flatMap((family) => PLUGIN_LEAVES[family]))
      expect(result.routes).toEqual(
        configured.map(({ dst }) => ({ dst, gw: dst.includes(':') ? CALICO[6] : CALICO[4] })),
      )
    },
  )

  test('leaves the underlay reachable through eth0, and nothing else, in both families', async () => {
    const pod = await calicoPod()
    await using _ = await host(pod.underlay, 'underlay')
    const everywhere = [UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6]]
    expect(await call(pod.netns, ...everywhere)).toEqual({
      '10.50.31.21': 'underlay sees 10.199.3.153',
      'fd00:10:50::21': 'underlay sees fd00:10:199::153',
      '203.0.113.10': 'underlay sees 10.199.3.153',
      '2001:db8:113::10': 'underlay sees fd00:10:199::153',
    })

    await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })

    expect(await call(pod.netns, ...everywhere, '8.8.8.8', '2001:4860:4860::8888')).toEqual({
      '10.50.31.21': 'underlay sees 10.199.3.153',
      'fd00:10:50::21': 'underlay sees fd00:10:199::153',
      '203.0.113.10': 'ENETUNREACH',
      '2001:db8:113::10': 'ENETUNREACH',
      '8.8.8.8': 'ENETUNREACH',
      '2001:4860:4860::8888': 'ENETUNREACH',
    })
  })

  test('touches nothing but those routes: not the addresses, links, rules or other tables', async () => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      'route add default via 169.254.1.1 dev eth0 table 100\nrule add from 10.0.0.0/8 table 100',
    )
    const expected = (await dump(pod.netns)).split('\n').filter((line) => !/^1 default (?!.* table 100 )/.test(line))
    await add(pod, { prevResult: calicoResult(pod) })
    expect((await dump(pod.netns)).split('\n')).toEqual(expected)
  })

  test('without routes only takes the default routes away', async () => {
    const pod = await calicoPod()
    const result = await add(pod, { prevResult: calicoResult(pod, { release: '3.31' }) })
    expect(await routes(pod.netns)).toEqual([
      '169.254.1.1 dev eth0 scope link',
      'fd00:10:199::153 dev eth0 proto kernel metric 256',
    ])
    expect(result).toEqual(calicoResult(pod, { release: '3.31' }))
  })

  test('with 1,000 routes leaves 1,000 routes', async () => {
    const pod = await calicoPod()
    const many = Array.from({ length: 1000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`)
    const result = await add(pod, { routes: many.map((dst) => ({ dst })), prevResult: calicoResult(pod) })
    const ours = (await routes(pod.netns)).filter((route) => route.endsWith(' via 169.254.1.1 dev eth0 proto 142'))
    expect(ours.map((route) => route.split(' ')[0])).toEqual(many.toSorted())
    expect(result.routes).toHaveLength(1000)
  })
})

describe('defaultRoute', () => {
  const keptOf = (...families: Family[]) => families.flatMap((family) => CALICO_LEAVES[family][family === 4 ? 1 : 0])
  const ROWS = [
    { defaultRoute: undefined, kept: [] },
    { defaultRoute: 'remove', kept: [] },
    { defaultRoute: 'keep', kept: keptOf(4, 6) },
    { defaultRoute: {}, kept: [] },
    { defaultRoute: { ipv4: 'keep' }, kept: keptOf(4) },
    { defaultRoute: { ipv6: 'keep' }, kept: keptOf(6) },
    { defaultRoute: { ipv4: 'remove', ipv6: 'keep' }, kept: keptOf(6) },
    { defaultRoute: { ipv4: 'keep', ipv6: 'remove' }, kept: keptOf(4) },
    { defaultRoute: { ipv4: 'keep', ipv6: 'keep' }, kept: keptOf(4, 6) },
  ]
  const titled = ROWS.map((row) => [JSON.stringify(row.defaultRoute) ?? 'not written', row] as const)
  test.each(titled)('%s: those defaults stay, in the kernel and in the Result', async (_, { defaultRoute, kept }) => {
    const pod = await calicoPod()
    const defaults = [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: CALICO[6] }]
    const prevResult = { ...calicoResult(pod), routes: defaults }

    const result = await add(pod, { defaultRoute, routes: ROUTES, prevResult })

    expect((await routes(pod.netns)).filter((route) => route.startsWith('default '))).toEqual(kept)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toHaveLength(4)
    const keptInResult = defaults.filter(({ dst }) => kept.some((route) => route?.includes(':') === dst.includes(':')))
    expect(result.routes?.slice(0, -4)).toEqual(keptInResult)
  })

  test('keep leaves the pod the internet', async () => {
    const pod = await calicoPod()
    await using _ = await host(pod.underlay, 'underlay')
    await add(pod, { defaultRoute: { ipv6: 'keep' }, routes: ROUTES, prevResult: calicoResult(pod) })
    expect(await call(pod.netns, INTERNET[4], INTERNET[6])).toEqual({
      '203.0.113.10': 'ENETUNREACH',
      '2001:db8:113::10': 'underlay sees fd00:10:199::153',
    })
  })

  test('remove takes every default of the NIC, whatever its metric, and no other route to elsewhere', async () => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      `
      route add default via 169.254.1.1 dev eth0 metric 50
      route add default via 169.254.1.1 dev eth0 metric 4294967295 proto static
      route add default dev eth0 scope link metric 60
      route add ::/0 via ${CALICO[6]} dev eth0 metric 4096
      route add ::/0 dev eth0 metric 512
      route add 0.0.0.0/1 via 169.254.1.1 dev eth0
      route add ::/1 via ${CALICO[6]} dev eth0
      route add default via 169.254.1.1 dev eth0 table 100
      route add ::/0 via ${CALICO[6]} dev eth0 table 100`,
    )
    await add(pod, { prevResult: calicoResult(pod) })
    expect(await routes(pod.netns)).toEqual([
      '0.0.0.0/1 via 169.254.1.1 dev eth0',
      '169.254.1.1 dev eth0 scope link',
      `::/1 via ${CALICO[6]} dev eth0 metric 1024`,
      'fd00:10:199::153 dev eth0 proto kernel metric 256',
    ])
    expect(await routes(pod.netns, '100')).toEqual([
      'default via 169.254.1.1 dev eth0',
      `default via ${CALICO[6]} dev eth0 metric 1024`,
    ])
  })

  test('remove takes a multipath default of the NIC alone', async () => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      `
      route add 169.254.1.2 dev eth0 scope link
      route replace default nexthop via 169.254.1.1 dev eth0 nexthop via 169.254.1.2 dev eth0
      route append ::/0 via fe80::2 dev eth0`,
    )
    const result = await add(pod, { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) })
    expect((await routes(pod.netns)).filter((route) => route.startsWith('default'))).toEqual([])
    expect(result.routes).toEqual([{ dst: '10.50.0.0/16', gw: '169.254.1.1' }])
  })

  test('remove takes defaults that were made with nexthop objects', async () => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      `
      nexthop add id 4 via 169.254.1.1 dev eth0
      nexthop add id 6 via ${CALICO[6]} dev eth0
      route replace default nhid 4
      route del ::/0
      route add ::/0 nhid 6`,
    )
    await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
    expect(await routes(pod.netns)).toEqual([...PLUGIN_LEAVES[4], ...PLUGIN_LEAVES[6]])
  })
})

describe('ADD called again', () => {
  test.each(PODS)('leaves the same routes and prints the same Result, byte for byte: $title', async (row) => {
    const pod = await calicoPod(row)
    const config = { routes: row.families.flatMap((family) => ROUTES_OF[family]), prevResult: calicoResult(pod) }
    const first = await run(environment('ADD', pod), config)
    const { before, after } = await changes(pod.netns, async () => {
      expect(await run(environment('ADD', pod), config)).toEqual(first)
    })
    expect(first).toMatchObject({ exitCode: 0, stderr: '' })
    expect(after).toBe(before)
  })

  test('with its own Result as prevResult prints that Result again', async () => {
    const pod = await calicoPod()
    const result = await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
    expect(await add(pod, { routes: ROUTES, prevResult: result })).toEqual(result)
  })

  test('takes away a default that came back', async () => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    await add(pod, config)
    await configure(pod.netns, 'route add default via 169.254.1.1 dev eth0')
    await add(pod, config)
    expect(await routes(pod.netns)).toEqual([...PLUGIN_LEAVES[4], ...PLUGIN_LEAVES[6]])
  })

  test('puts right a route of ours that was bent, and one that was lost', async () => {
    const pod = await calicoPod()
    const config = { routes: [...ROUTES, { dst: '10.60.0.0/16', mtu: 1400 }], prevResult: calicoResult(pod) }
    await add(pod, config)
    const { before, after } = await changes(pod.netns, async () => {
      await configure(
        pod.netns,
        `
        route replace 10.60.0.0/16 via 169.254.1.1 dev eth0 mtu 1300 proto 142
        route del 10.199.0.0/16
        route del fd00:10:50::/64`,
      )
      await add(pod, config)
    })
    expect(after).toBe(before)
  })

  test('by five runtimes at once leaves what one would have left', async () => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    const results = await Promise.all(Array.from({ length: 5 }, () => add(pod, config)))
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1)
    expect(await routes(pod.netns)).toEqual([...PLUGIN_LEAVES[4], ...PLUGIN_LEAVES[6]])
  })
})

describe('a route that is there already', () => {
  test.each([
    { there: 'route add 10.50.0.0/16 via 10.0.1.1 dev net1', dst: '10.50.0.0/16' },
    { there: 'route add fd00:10:50::/64 via fd00:10:0:1::1 dev net1', dst: 'fd00:10:50::/64' },
    { there: 'route add blackhole 10.50.0.0/16', dst: '10.50.0.0/16' },
    { there: 'route add 10.50.0.0/16 dev eth0 scope link proto static', dst: '10.50.0.0/16' },
    { there: 'route add fd00:10:50::/64 via fe80::1 dev eth0 proto static', dst: 'fd00:10:50::/64' },
  ])('is never taken over: $there', async ({ there, dst }) => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      `
      link add net1 type veth peer name net1-peer
      link set net1-peer up
      link set net1 up
      addr add 10.0.1.11/24 dev net1
      addr add fd00:10:0:1::11/64 dev net1 nodad
      ${there}`,
    )
    const { before, after } = await changes(pod.netns, async () => {
      const refused = { routes: [{ dst: '10.60.0.0/16' }, { dst }], prevResult: calicoResult(pod) }
      const { code, msg } = await fails('ADD', pod, refused)
      expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^routes\[1\][: ]/) })
      expect(msg).toContain(dst)
    })
    expect(after).toBe(before)
  })
})
