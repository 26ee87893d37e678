import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod, UNDERLAY } from '../support/calico.ts'
import { configure, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { call, host } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ours = async (netns: string, table?: string) =>
  (await routes(netns, table)).filter((route) => route.includes(' proto 142'))

describe('an entry of routes[] becomes a route of the kernel', () => {
  const LINK_LOCAL = CALICO[6]
  const ROWS = [
    // who the next hop is
    { route: { dst: '10.50.0.0/16' }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142' },
    { route: { dst: '10.50.31.21/32' }, kernel: '10.50.31.21 via 169.254.1.1 dev eth0 proto 142' },
    { route: { dst: '10.0.0.0/8', gw: '169.254.1.1' }, kernel: '10.0.0.0/8 via 169.254.1.1 dev eth0 proto 142' },
    { route: { dst: 'fd00:10:50::/64' }, kernel: `fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142 metric 1024` },
    {
      route: { dst: 'FD00:10:50:0::/64', gw: 'FE80:0::1' },
      kernel: 'fd00:10:50::/64 via fe80::1 dev eth0 proto 142 metric 1024',
    },
    { route: { dst: 'fd00:10:50::21/128' }, kernel: `fd00:10:50::21 via ${LINK_LOCAL} dev eth0 proto 142 metric 1024` },
    { route: { dst: '::/1' }, kernel: `::/1 via ${LINK_LOCAL} dev eth0 proto 142 metric 1024` },
    { route: { dst: '0.0.0.0/1' }, kernel: '0.0.0.0/1 via 169.254.1.1 dev eth0 proto 142' },
    // scope, by name and by number
    { route: { dst: '10.50.0.0/16', scope: 'link' }, kernel: '10.50.0.0/16 dev eth0 proto 142 scope link' },
    { route: { dst: '10.50.0.0/16', scope: 253 }, kernel: '10.50.0.0/16 dev eth0 proto 142 scope link' },
    { route: { dst: '10.50.0.0/16', scope: 'global' }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142' },
    { route: { dst: '10.50.0.0/16', scope: 0 }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142' },
    {
      route: { dst: '10.50.0.0/16', scope: 'site' },
      kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 scope site',
    },
    { route: { dst: '10.50.0.0/16', scope: 100 }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 scope 100' },
    { route: { dst: 'fd00:10:50::/64', scope: 'link' }, kernel: 'fd00:10:50::/64 dev eth0 proto 142 metric 1024' },
    // device
    { route: { dst: '10.50.0.0/16', dev: 'eth0' }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142' },
    {
      route: { dst: '10.60.0.0/16', dev: 'net1', gw: '10.0.1.1' },
      kernel: '10.60.0.0/16 via 10.0.1.1 dev net1 proto 142',
    },
    {
      route: { dst: '10.60.0.0/16', dev: 'net1', scope: 'link' },
      kernel: '10.60.0.0/16 dev net1 proto 142 scope link',
    },
    {
      route: { dst: 'fd00:10:60::/64', dev: 'net1', gw: 'fd00:10:0:1::1' },
      kernel: 'fd00:10:60::/64 via fd00:10:0:1::1 dev net1 proto 142 metric 1024',
    },
    // source
    {
      route: { dst: '10.50.0.0/16', src: '10.199.3.153' },
      kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 src 10.199.3.153',
    },
    {
      route: { dst: 'fd00:10:50::/64', src: 'fd00:10:199::153' },
      kernel: `fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142 src fd00:10:199::153 metric 1024`,
    },
    {
      route: { dst: 'fd00:10:50::/64', src: 'FD00:10:199:0::153', scope: 'link' },
      kernel: 'fd00:10:50::/64 dev eth0 proto 142 src fd00:10:199::153 metric 1024',
    },
    // metric
    { route: { dst: '10.50.0.0/16', priority: 0 }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142' },
    {
      route: { dst: '10.50.0.0/16', priority: 50 },
      kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 metric 50',
    },
    {
      route: { dst: '10.50.0.0/16', priority: 4294967295 },
      kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 metric 4294967295',
    },
    {
      route: { dst: 'fd00:10:50::/64', priority: 50 },
      kernel: `fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142 metric 50`,
    },
    // The kernel has no IPv6 metric 0: it takes it for its default.
    {
      route: { dst: 'fd00:10:50::/64', priority: 0 },
      kernel: `fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142 metric 1024`,
    },
    // sizes
    { route: { dst: '10.50.0.0/16', mtu: 1400 }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 mtu 1400' },
    {
      route: { dst: '10.50.0.0/16', advmss: 1360 },
      kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 advmss 1360',
    },
    {
      route: { dst: 'fd00:10:50::/64', mtu: 1400, advmss: 1340 },
      kernel: `fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142 metric 1024 mtu 1400 advmss 1340`,
    },
    // a gateway that is on no network of the NIC
    {
      route: { dst: '10.50.0.0/16', gw: '192.0.2.1', onlink: true },
      kernel: '10.50.0.0/16 via 192.0.2.1 dev eth0 proto 142 onlink',
    },
    {
      route: { dst: 'fd00:10:50::/64', gw: '2001:db8::1', onlink: true },
      kernel: 'fd00:10:50::/64 via 2001:db8::1 dev eth0 proto 142 metric 1024 onlink',
    },
    { route: { dst: '10.50.0.0/16', onlink: false }, kernel: '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142' },
    // everything at once
    {
      route: {
        dst: '10.50.0.0/16',
        gw: '192.0.2.1',
        dev: 'eth0',
        src: '10.199.3.153',
        priority: 7,
        scope: 0,
        mtu: 1400,
        advmss: 1360,
        onlink: true,
      },
      kernel: '10.50.0.0/16 via 192.0.2.1 dev eth0 proto 142 src 10.199.3.153 metric 7 onlink mtu 1400 advmss 1360',
    },
    {
      route: {
        dst: 'fd00:10:50::/64',
        gw: LINK_LOCAL,
        dev: 'eth0',
        src: 'fd00:10:199::153',
        priority: 7,
        mtu: 1400,
        advmss: 1340,
        onlink: true,
      },
      kernel: `fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142 src fd00:10:199::153 metric 7 onlink mtu 1400 advmss 1340`,
    },
  ]
  test.each(ROWS.map((row) => [JSON.stringify(row.route), row] as const))('%s', async (_, { route, kernel }) => {
    const pod = await calicoPod()
    if (route.dev === 'net1') await ovnNic(pod)
    const config = { routes: [route], prevResult: calicoResult(pod) }

    const result = await add(pod, config)
    expect(await ours(pod.netns)).toEqual([kernel])

    // However it was written, a second ADD and CHECK find it there, and DEL finds it to take away.
    expect(await add(pod, config)).toEqual(result)
    expect(await ours(pod.netns)).toEqual([kernel])
    await check(pod, { ...config, prevResult: result })
    await del(pod, { ...config, prevResult: result })
    expect(await ours(pod.netns)).toEqual([])
  })
})

describe('table', () => {
  test.each([
    { table: 0, shown: 'main' },
    { table: 254, shown: 'main' },
    { table: 253, shown: 'default' },
    { table: 1, shown: '1' },
    { table: 4294967295, shown: '4294967295' },
  ])('$table is shown by the kernel as $shown', async ({ table, shown }) => {
    const pod = await calicoPod()
    const configured = [
      { dst: '10.50.0.0/16', table },
      { dst: 'fd00:10:50::/64', table },
    ]
    const config = { routes: configured, prevResult: calicoResult(pod) }
    await add(pod, config)
    expect(await ours(pod.netns, shown)).toEqual([
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
    ])
    await check(pod, config)
    await del(pod, config)
    expect(await ours(pod.netns, shown)).toEqual([])
  })

  test('other than main may get a default route', async () => {
    const pod = await calicoPod()
    await add(pod, {
      routes: [
        { dst: '0.0.0.0/0', table: 100 },
        { dst: '::/0', table: 100 },
      ],
      prevResult: calicoResult(pod),
    })
    expect(await routes(pod.netns, '100')).toEqual([
      'default via 169.254.1.1 dev eth0 proto 142',
      `default via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
    ])
    expect((await routes(pod.netns)).filter((route) => route.startsWith('default'))).toEqual([])
  })

  test('and priority tell routes to the same place apart', async () => {
    const pod = await calicoPod()
    const dst = '10.50.0.0/16'
    const config = {
      routes: [{ dst }, { dst, priority: 10, mtu: 1400 }, { dst, table: 100 }, { dst, table: 100, priority: 10 }],
      prevResult: calicoResult(pod),
    }
    await add(pod, config)
    await add(pod, config)
    expect(await ours(pod.netns)).toEqual([
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 metric 10 mtu 1400',
    ])
    expect(await ours(pod.netns, '100')).toEqual([
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 metric 10',
    ])
  })
})

describe('packets', () => {
  test('find the underlay by link-scope routes, since Calico’s host answers for every address', async () => {
    const pod = await calicoPod({ families: [4] })
    await using _ = await host(pod.underlay, 'underlay')
    await add(pod, { routes: [{ dst: '10.50.0.0/16', scope: 'link' }], prevResult: calicoResult(pod) })
    expect(await call(pod.netns, UNDERLAY[4])).toEqual({ '10.50.31.21': 'underlay sees 10.199.3.153' })
  })

  test('leave with the configured source address', async () => {
    const pod = await calicoPod()
    await using _ = await host(pod.underlay, 'underlay')
    await configure(pod.netns, 'addr add 10.199.3.154/32 dev eth0\naddr add fd00:10:199::154/128 dev eth0 nodad')
    await configure(
      pod.node,
      'route add 10.199.3.154/32 dev cali1234567890a\nroute add fd00:10:199::154/128 dev cali1234567890a',
    )
    await add(pod, {
      routes: [
        { dst: '10.50.0.0/16', src: '10.199.3.154' },
        { dst: 'fd00:10:50::/64', src: 'fd00:10:199::154' },
      ],
      prevResult: calicoResult(pod),
    })
    expect(await call(pod.netns, UNDERLAY[4], UNDERLAY[6])).toEqual({
      '10.50.31.21': 'underlay sees 10.199.3.154',
      'fd00:10:50::21': 'underlay sees fd00:10:199::154',
    })
  })
})
