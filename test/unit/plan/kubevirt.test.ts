import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { parseRoutes } from '../../../src/net/iproute2.ts'
import { dhcpOffer, inDumpOrder, kubevirtProblems, unreachableInOrder } from '../../../src/plan/kubevirt.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { calicoPod, DEFAULT4, LINK4, link, route } from '../../support/snapshots.ts'

const ADDRESS = '10.199.3.153/32'
// `ip -json route show table main` of a pod as this plugin leaves it, in the kernel's order (iproute2 6.1).
const DUMP = JSON.stringify([
  { dst: '10.50.0.0/16', gateway: '169.254.1.1', dev: 'eth0', protocol: '142', flags: [] },
  { dst: '10.199.0.0/16', gateway: '169.254.1.1', dev: 'eth0', protocol: '142', flags: [] },
  { dst: '169.254.1.1', dev: 'eth0', scope: '253', flags: [] },
])

describe("KubeVirt's DHCP offer", () => {
  it('in a pod of Calico alone is the default route', () => {
    expect(dhcpOffer([DEFAULT4, LINK4], 'eth0', ADDRESS)).toEqual({
      router: '169.254.1.1',
      classlessRoutes: [
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      ],
    })
  })

  it('with routes through a gateway makes the first of them the router, and has the prefix around the VM too', () => {
    const offer = dhcpOffer(parseRoutes(DUMP), 'eth0', ADDRESS)
    expect(offer).toEqual({
      router: '169.254.1.1',
      classlessRoutes: [
        { dst: '10.50.0.0/16', gw: '169.254.1.1' },
        { dst: '10.199.0.0/16', gw: '169.254.1.1' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
      ],
    })
    // The gateway comes after the routes through it, which a client that goes by the order refuses.
    expect(offer && unreachableInOrder(offer, ADDRESS)).toEqual(['10.50.0.0/16', '10.199.0.0/16'])
  })

  it('with on-link routes has no router, and suits every client', () => {
    const routes = planAdd(
      parseConfig({ routes: [{ dst: '10.50.0.0/16', scope: 'link' }] }),
      'eth0',
      calicoPod(),
    ).routes.map((one) => one.route)
    const offer = dhcpOffer(inDumpOrder([...routes, LINK4]), 'eth0', ADDRESS)
    expect(offer).toEqual({
      classlessRoutes: [
        { dst: '10.50.0.0/16', gw: '0.0.0.0' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
      ],
    })
    expect(offer && unreachableInOrder(offer, ADDRESS)).toEqual([])
  })

  it("leaves out the NIC's own subnet, other NICs, other tables and IPv6", () => {
    const routes = [
      route(4, '10.0.1.0/24', { dev: 'net1', protocol: 2 }),
      route(4, '10.60.0.0/16', { dev: 'eth0' }),
      route(4, '10.70.0.0/16', { dev: 'net1', gw: '10.0.1.1', table: 100 }),
      route(6, 'fd00::/48', { dev: 'net1' }),
      route(4, '10.80.0.0/16', { dev: 'net1', gw: '10.0.1.1' }),
    ]
    expect(dhcpOffer(routes, 'net1', '10.0.1.10/24')).toEqual({
      classlessRoutes: [{ dst: '10.80.0.0/16', gw: '10.0.1.1' }],
    })
  })

  it('cannot be made for a NIC without IPv4 routes', () => {
    expect(dhcpOffer([route(6, 'fd00::/48', { dev: 'eth0' })], 'eth0', ADDRESS)).toBeUndefined()
  })
})

describe('the order of the kernel', () => {
  it('is by prefix, the wider first, the default at its head', () => {
    const dsts = ['169.254.1.1/32', '10.50.0.0/16', '10.50.0.0/24', '10.199.0.0/16', '9.0.0.0/8', '0.0.0.0/0']
    expect(inDumpOrder(dsts.map((dst) => route(4, dst, { dev: 'eth0' }))).map(({ dst }) => dst)).toEqual([
      '0.0.0.0/0',
      '9.0.0.0/8',
      '10.50.0.0/16',
      '10.50.0.0/24',
      '10.199.0.0/16',
      '169.254.1.1/32',
    ])
  })
})

describe('kubevirt: true', () => {
  const problems = (conf: Record<string, unknown>, pod = calicoPod()) =>
    planAdd(parseConfig({ kubevirt: true, ...conf }), 'eth0', pod).problems.map(problemText)

  it("is content with Calico's pod", () => {
    expect(problems({ routes: [{ dst: '10.50.0.0/16' }] })).toEqual([])
  })

  it('refuses to leave an addressed NIC without IPv4 route', () => {
    const pod = { ...calicoPod(), routes: [route(4, '0.0.0.0/0', { dev: 'eth0' })] }
    expect(problems({}, pod)).toEqual([
      'kubevirt: eth0 would keep no IPv4 route, and KubeVirt fails a VM whose NIC has an address but no route; add one to "routes"',
    ])
    expect(problems({ routes: [{ dst: '10.50.0.0/16' }] }, pod)).toEqual([])
  })

  it.each([
    [
      'that leads nowhere',
      route(4, '10.60.0.0/16', { type: 7 }),
      'a route that leads nowhere, unreachable 10.60.0.0/16 proto 3',
    ],
    [
      'over several next hops, on whatever NIC',
      route(4, '10.60.0.0/16', { nexthops: [{ gw: '10.0.1.1', dev: 'net1', weight: 1, onlink: false }] }),
      'the multipath route 10.60.0.0/16 proto 3 nexthop via 10.0.1.1 dev net1 weight 1',
    ],
  ])('refuses a route %s', (_, bad, text) => {
    expect(problems({}, calicoPod(bad))).toEqual([
      `kubevirt: KubeVirt cannot read ${text}; remove it, or use a binding other than bridge`,
    ])
  })

  it('refuses IPv6 routes that the kernel shows as one, since they are in one place', () => {
    const hop = route(6, 'fd00:10:60::/48', { gw: 'fd00::1', dev: 'net1' })
    const other = { ...hop, gw: 'fd00::2' }
    expect(problems({}, calicoPod(hop, { ...other, priority: 5 }))).toEqual([])
    expect(problems({}, calicoPod(hop, other))).toEqual([
      'kubevirt: KubeVirt cannot read the multipath route of fd00:10:60::/48 via fd00::1 dev net1 proto 3 metric 1024 and fd00:10:60::/48 via fd00::2 dev net1 proto 3 metric 1024; remove one, or use a binding other than bridge',
    ])
  })

  it('says nothing of a NIC without IPv4 address', () => {
    expect(kubevirtProblems({ routes: [], links: [link('eth0', 'fd00::1')] }, 'eth0')).toEqual([])
  })
})
