import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespaces } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { add, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const GOOD = [
  { dst: '10.50.0.0/16' },
  { dst: 'fd00:10:50::/64' },
  { dst: '10.60.0.0/16', priority: 7, table: 100, mtu: 1400 },
  { dst: 'fd00:10:60::/64', scope: 'link', priority: 7 },
]
/** Right by themselves, and refused by the kernel in this pod: nobody on its networks has these addresses. */
const UNREACHABLE_GATEWAY = {
  4: { dst: '10.99.0.0/16', gw: '192.0.2.1' },
  6: { dst: 'fd00:99::/64', gw: '2001:db8::1' },
}

describe('an ADD that the kernel refuses half-way leaves the pod as it was', () => {
  const positions = [0, 1, 2, 3, 4].flatMap((position) => ([4, 6] as const).map((family) => ({ position, family })))
  test.each(positions)('when it is entry $position, IPv$family', async ({ position, family }) => {
    const pod = await calicoPod()
    const entries = GOOD.toSpliced(position, 0, UNREACHABLE_GATEWAY[family])
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg, details } = await fails('ADD', pod, { routes: entries, prevResult: calicoResult(pod) })
      expect(code).toBe(100)
      expect(msg).toMatch(new RegExp(`^routes\\[${position}\\]: .*${UNREACHABLE_GATEWAY[family].gw}`))
      expect(`${msg} ${details}`).toMatch(/Nexthop has invalid gateway|No route to host|unreachable/)
      expect(details).toMatch(/unchanged$/)
    })
    expect(after).toBe(before)
  })

  test('when its source address is not certain yet, which the message explains', async () => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      `sysctl net.ipv6.conf.eth0.accept_dad=1
      sysctl net.ipv6.conf.eth0.dad_transmits=30
      addr add fd00:10:199::9/128 dev eth0`,
    )
    const config = { routes: [{ dst: 'fd00:10:50::/64', src: 'fd00:10:199::9' }], prevResult: calicoResult(pod) }
    expect(await fails('ADD', pod, config)).toMatchObject({
      code: 100,
      msg: expect.stringMatching(/Invalid source address \(.*\); .* checking fd00:10:199::9 for duplicates; .*nodad/),
    })
  })

  test('when a thousand routes came before it', async () => {
    const pod = await calicoPod()
    const many = Array.from({ length: 1000 }, (_, i) => ({ dst: `10.${100 + (i >> 8)}.${i & 255}.0/24` }))
    const { before, after } = await changes(pod.netns, async () => {
      const routes = [...many, UNREACHABLE_GATEWAY[6]]
      const { code, msg } = await fails('ADD', pod, { routes, prevResult: calicoResult(pod) })
      expect({ code, msg }).toEqual({ code: 100, msg: expect.stringMatching(/^routes\[1000\]: /) })
    })
    expect(after).toBe(before)
  })

  test('when routes of ours are there from an ADD before', async () => {
    const pod = await calicoPod()
    await add(pod, { routes: GOOD, prevResult: calicoResult(pod) })
    const { before, after } = await changes(pod.netns, async () => {
      const routes = [
        { dst: '10.80.0.0/16' },
        ...GOOD.map((route) => ({ ...route, mtu: 1300 })),
        UNREACHABLE_GATEWAY[4],
      ]
      expect(await fails('ADD', pod, { routes, prevResult: calicoResult(pod) })).toMatchObject({ code: 100 })
    })
    expect(after).toBe(before)
  })

  // Each is a route that stands where a configured one goes, and is therefore replaced, then brought back to the letter.
  test.each([
    'route add 10.50.0.0/16 dev eth0 scope link',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto static src 10.199.3.153 mtu 1300 advmss 1200 window 1000',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 initcwnd 20 initrwnd 30 quickack 1',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 cwnd 10 hoplimit 5 rto_min 10ms',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 rtt 300ms rttvar 40ms',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 features ecn',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 congctl reno',
    'route add 10.50.0.0/16 via 192.0.2.7 dev eth0 onlink',
    'route add 10.50.0.0/16 nexthop via 169.254.1.1 dev eth0 weight 3 nexthop dev eth0 weight 5',
    'route add 10.50.0.0/16 via inet6 fe80::7 dev eth0',
    'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 realm 7',
    'route add 10.50.0.0/16 tos 0x10 via 169.254.1.1 dev eth0',
    'route add fd00:10:50::/64 dev eth0 proto ra pref high',
    'route add fd00:10:50::/64 via fe80::7 dev eth0 proto ra expires 600',
    `route add fd00:10:50::/64 via ${CALICO[6]} dev eth0 src fd00:10:199::153 mtu 1300 advmss 1200 hoplimit 9`,
    'route add fd00:10:50::/64 via fe80::7 dev eth0 onlink',
    'route add fd00:10:50::/64 nexthop via fe80::7 dev eth0 nexthop via fe80::8 dev eth0 weight 4',
    'route add 10.60.0.0/16 dev eth0 metric 7 table 100 mtu 900',
    'route add fd00:10:60::/64 via fe80::7 dev eth0 metric 7 proto bird',
  ])('with what had been replaced: %s', async (there) => {
    const pod = await calicoPod()
    await configure(pod.netns, there)
    const { before, after } = await changes(pod.netns, async () => {
      const routes = [...GOOD, UNREACHABLE_GATEWAY[4]]
      const { code } = await fails('ADD', pod, { routes, prevResult: calicoResult(pod) })
      // 7 is right too: a route that could not be brought back must not be taken.
      expect([7, 100]).toContain(code)
    })
    expect(after).toBe(before)
  })

  test('with other defaults, another NIC, other tables, rules and nexthop objects around it', async () => {
    const pod = await calicoPod()
    await ovnNic(pod, { defaults: 'metric 2000' })
    await configure(
      pod.netns,
      `
      route add default via 169.254.1.1 dev eth0 metric 50 mtu 1300
      route add ::/0 via fe80::7 dev eth0 metric 512 pref low
      route add default via 10.0.1.1 dev net1 table 100
      route add unreachable 10.99.0.0/16 metric 9
      route add blackhole fd00:99::/64 metric 9
      rule add from 10.0.0.0/8 table 100 pref 1000
      nexthop add id 9 via 10.0.1.1 dev net1
      route add 10.88.0.0/16 nhid 9`,
    )
    const { before, after } = await changes(pod.netns, async () => {
      const routes = [...GOOD, UNREACHABLE_GATEWAY[6]]
      expect(await fails('ADD', pod, { routes, prevResult: calicoResult(pod) })).toMatchObject({ code: 100 })
    })
    expect(after).toBe(before)
  })
})

describe('the advice where ip refuses a next hop', () => {
  const overrides = { allow: ['routes'], within: ['10.0.0.0/8'] }
  const written = { dst: '10.60.0.0/16', gw: '10.60.0.1' }

  test.each([
    { by: 'the configuration', config: { routes: [written] }, at: 'routes[0]' },
    { by: 'cni-args', config: { overrides, args: { cni: { routes: [written] } } }, at: 'args.cni.routes[0]' },
  ])('is to leave out what was written by $by', async ({ config, at }) => {
    const pod = await calicoPod({ families: [4] })
    const { msg } = await fails('ADD', pod, { ...config, prevResult: calicoResult(pod) })
    expect(msg).toMatch(`${at}: ip refused`)
    expect(msg).toMatch(/leave out "gw" to use the next hop of eth0, or add "onlink": true$/)
  })

  test('does not name what was not written', async () => {
    const pod = await calicoPod({ families: [4] })
    // The kernel keeps a route whose gateway is not on-link any more.
    await configure(
      pod.netns,
      'route add 192.0.2.1 dev eth0\nroute replace default via 192.0.2.1 dev eth0\nroute del 192.0.2.1 dev eth0',
    )
    const { msg } = await fails('ADD', pod, { routes: [{ dst: '10.60.0.0/16' }], prevResult: calicoResult(pod) })
    expect(msg).toMatch(/192\.0\.2\.1 is not on-link on eth0; write the right "gw"/)
    expect(msg).not.toContain('leave out')
  })
})
