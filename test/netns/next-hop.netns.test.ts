import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { add, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const NO_DEFAULTS = 'route del default\nroute del ::/0'

describe('the next hop of a route without gw and scope is learnt', () => {
  test.each([
    {
      from: 'the default of the lowest metric',
      script: `
        route add 169.254.1.7 dev eth0 scope link
        route del default
        route add default via 169.254.1.1 dev eth0 metric 100
        route add default via 169.254.1.7 dev eth0 metric 20
        route add ::/0 via fe80::7 dev eth0 metric 512`,
      kernel: [
        '10.50.0.0/16 via 169.254.1.7 dev eth0 proto 142',
        'fd00:10:50::/64 via fe80::7 dev eth0 proto 142 metric 1024',
      ],
    },
    {
      from: 'the host’s link-local address, whatever it is',
      script: 'route replace ::/0 via fe80::a8bb:ccff:fedd:eeff dev eth0',
      kernel: [
        '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        'fd00:10:50::/64 via fe80::a8bb:ccff:fedd:eeff dev eth0 proto 142 metric 1024',
      ],
    },
    {
      from: 'a default that names a device only',
      script: `
        ${NO_DEFAULTS}
        route add default dev eth0 scope link
        route add ::/0 dev eth0`,
      kernel: ['10.50.0.0/16 dev eth0 proto 142 scope link', 'fd00:10:50::/64 dev eth0 proto 142 metric 1024'],
    },
    {
      from: 'a default whose gateway is on-link by decree',
      script: `
        ${NO_DEFAULTS}
        route add default via 192.0.2.1 dev eth0 onlink
        route add ::/0 via 2001:db8::1 dev eth0 onlink`,
      kernel: [
        '10.50.0.0/16 via 192.0.2.1 dev eth0 proto 142 onlink',
        'fd00:10:50::/64 via 2001:db8::1 dev eth0 proto 142 metric 1024 onlink',
      ],
    },
    {
      from: 'a default through a nexthop object',
      script: `
        nexthop add id 4 via 169.254.1.1 dev eth0
        nexthop add id 6 via fe80::6 dev eth0
        ${NO_DEFAULTS}
        route add default nhid 4
        route add ::/0 nhid 6`,
      kernel: [
        '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        'fd00:10:50::/64 via fe80::6 dev eth0 proto 142 metric 1024',
      ],
    },
    {
      from: 'the first hop of a multipath default',
      script: `
        route add 169.254.1.7 dev eth0 scope link
        route replace default nexthop via 169.254.1.7 dev eth0 nexthop via 169.254.1.1 dev eth0
        route del ::/0
        route add ::/0 nexthop via fe80::7 dev eth0 nexthop via fe80::8 dev eth0`,
      kernel: [
        '10.50.0.0/16 via 169.254.1.7 dev eth0 proto 142',
        'fd00:10:50::/64 via fe80::7 dev eth0 proto 142 metric 1024',
      ],
    },
    {
      from: 'Calico’s link route, and the link-local next hop of routes that are ours, when the default is gone',
      script: `
        ${NO_DEFAULTS}
        route add 169.254.1.7 dev eth0 scope link
        route add 10.60.0.0/16 via 169.254.1.7 dev eth0 proto 142
        route add fd00:10:60::/64 via fe80::7 dev eth0 proto 142`,
      kernel: [
        '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        '10.60.0.0/16 via 169.254.1.7 dev eth0 proto 142',
        'fd00:10:50::/64 via fe80::7 dev eth0 proto 142 metric 1024',
        'fd00:10:60::/64 via fe80::7 dev eth0 proto 142 metric 1024',
      ],
    },
  ])('from $from', async ({ script, kernel }) => {
    const pod = await calicoPod()
    await configure(pod.netns, script)
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    const result = await add(pod, config)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual(kernel)

    expect(await add(pod, config)).toEqual(result)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual(kernel)
  })

  test('from the same route, made by another plugin, when the default is gone', async () => {
    const pod = await calicoPod({ families: [4] })
    const nic = await ovnNic(pod)
    await configure(
      pod.netns,
      'route del default\nroute add default via 10.0.1.1 dev net1\nroute add 10.50.0.0/16 via 10.0.1.1 dev net1',
    )
    const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: nic.result }
    const result = await add(nic, config)
    expect(result.routes).toContainEqual({ dst: '10.50.0.0/16', gw: '10.0.1.1' })
    expect(await routes(pod.netns)).toContain('10.50.0.0/16 via 10.0.1.1 dev net1')
    expect(await add(nic, config)).toEqual(result)
  })

  test('from Calico’s link route, when nothing else is left', async () => {
    const pod = await calicoPod({ families: [4] })
    await configure(pod.netns, 'route del default')
    await add(pod, { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) })
    expect(await routes(pod.netns)).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
  })

  test('again for routes that come with a later ADD', async () => {
    const pod = await calicoPod()
    await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
    const more = [...ROUTES, { dst: '10.60.0.0/16' }, { dst: 'fd00:10:60::/64' }]
    const result = await add(pod, { routes: more, prevResult: calicoResult(pod) })
    expect(result.routes?.map(({ gw }) => gw)).toEqual([CALICO[4], CALICO[6], CALICO[4], CALICO[6]])
  })

  test('from the default that is kept', async () => {
    const pod = await calicoPod()
    const result = await add(pod, { defaultRoute: 'keep', routes: ROUTES, prevResult: calicoResult(pod) })
    expect(result.routes?.map(({ gw }) => gw)).toEqual([CALICO[4], CALICO[6]])
  })

  test('of the device that the entry names', async () => {
    const pod = await calicoPod()
    await ovnNic(pod, { defaults: 'metric 2000' })
    await add(pod, {
      routes: [
        { dst: '10.60.0.0/16', dev: 'net1' },
        { dst: 'fd00:10:60::/64', dev: 'net1' },
      ],
      prevResult: calicoResult(pod),
    })
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([
      '10.60.0.0/16 via 10.0.1.1 dev net1 proto 142',
      'fd00:10:60::/64 via fd00:10:0:1::1 dev net1 proto 142 metric 1024',
    ])
  })
})

describe('where no next hop is known', () => {
  const NOTHING_4 = 'route del default\nroute del 169.254.1.1'
  test.each([
    {
      left: 'no IPv4 route',
      script: NOTHING_4,
      dst: '10.50.0.0/16',
      says: 'which has no IPv4 default route; add "gw" or "scope": "link"',
    },
    {
      left: 'no IPv6 default',
      script: 'route del ::/0',
      dst: 'fd00:10:50::/64',
      says: 'which has no IPv6 default route; add "gw" or "scope": "link"',
    },
    {
      left: 'a default of another table',
      script: `route add default via 169.254.1.1 dev eth0 table 100\n${NOTHING_4}`,
      dst: '10.50.0.0/16',
      says: 'whose IPv4 default route is in table 100; add "gw", or "table": 100 to put this route there',
    },
    {
      left: 'an IPv6 default of another table',
      script: 'route add ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 table 1001\nroute del ::/0',
      dst: 'fd00:10:50::/64',
      says: 'whose IPv6 default route is in table 1001; add "gw", or "table": 1001 to put this route there',
    },
    {
      left: 'defaults of another NIC',
      script: `route add ::/0 via fd00:10:0:1::1 dev net1 metric 9\nroute del ::/0 dev eth0`,
      dst: 'fd00:10:50::/64',
      says: 'which has no IPv6 default route; add "gw" or "scope": "link"',
    },
  ])('ADD says what to write, and changes nothing: $left', async ({ script, dst, says }) => {
    const pod = await calicoPod()
    await ovnNic(pod)
    await configure(pod.netns, script)
    const { before, after } = await changes(pod.netns, async () => {
      const config = { routes: [{ dst: '10.60.0.0/16', scope: 'link' }, { dst }], prevResult: calicoResult(pod) }
      const { code, msg } = await fails('ADD', pod, config)
      expect({ code, msg }).toEqual({ code: 7, msg: `routes[1]: no next hop to ${dst} is known on eth0, ${says}` })
    })
    expect(after).toBe(before)
  })

  test('ADD needs none for entries that say where they lead', async () => {
    const pod = await calicoPod()
    await configure(pod.netns, 'route del default\nroute del 169.254.1.1\nroute del ::/0')
    await add(pod, {
      routes: [
        { dst: '10.50.0.0/16', scope: 'link' },
        { dst: '10.60.0.0/16', gw: '192.0.2.1', onlink: true },
        { dst: 'fd00:10:50::/64', gw: CALICO[6] },
      ],
      prevResult: calicoResult(pod),
    })
    expect(await routes(pod.netns)).toEqual(
      [
        '10.50.0.0/16 dev eth0 proto 142 scope link',
        '10.60.0.0/16 via 192.0.2.1 dev eth0 proto 142 onlink',
        `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
        'fd00:10:199::153 dev eth0 proto kernel metric 256',
      ].sort(),
    )
  })
})
