import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { parseRoutes } from '../../../src/net/iproute2.ts'
import {
  dhcpOffer,
  inDumpOrder,
  kubevirtProblems,
  offeredAddress,
  optionBytes,
  unreachableInOrder,
} from '../../../src/plan/kubevirt.ts'
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

  it('has no router where the first route is on-link, though the default route is not', () => {
    const half = route(4, '0.0.0.0/1', { dev: 'eth0' })
    expect(dhcpOffer(inDumpOrder([DEFAULT4, LINK4, half]), 'eth0', ADDRESS)).toEqual({
      classlessRoutes: [
        { dst: '0.0.0.0/1', gw: '0.0.0.0' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      ],
    })
  })

  it('makes on-link what has an IPv6 next hop', () => {
    expect(dhcpOffer([{ ...DEFAULT4, gw: 'fe80::1' }], 'eth0', ADDRESS)).toEqual({
      classlessRoutes: [{ dst: '0.0.0.0/0', gw: '0.0.0.0' }],
    })
  })

  it('cannot be made for a NIC without IPv4 routes', () => {
    expect(dhcpOffer([route(6, 'fd00::/48', { dev: 'eth0' })], 'eth0', ADDRESS)).toBeUndefined()
  })
})

describe('the order of the kernel', () => {
  it('is by base address, the longest prefix of one base first', () => {
    const dsts = ['169.254.1.1/32', '10.0.0.0/8', '0.0.0.0/0', '10.50.0.0/16', '10.0.0.0/16', '0.0.0.0/1', '9.0.0.0/8']
    expect(inDumpOrder(dsts.map((dst) => route(4, dst, { dev: 'eth0' }))).map(({ dst }) => dst)).toEqual([
      '0.0.0.0/1',
      '0.0.0.0/0',
      '9.0.0.0/8',
      '10.0.0.0/16',
      '10.0.0.0/8',
      '10.50.0.0/16',
      '169.254.1.1/32',
    ])
  })
})

describe('the address that is offered', () => {
  it.each([
    ['the first', ['10.0.1.10', '10.0.2.10'], [24, 16], '10.0.1.10/24'],
    [
      'neither link-local nor loopback',
      ['fe80::1', '169.254.7.7', '127.0.0.2', '10.0.2.10'],
      [64, 16, 8, 22],
      '10.0.2.10/22',
    ],
    ['one whose prefix length is unknown', ['10.0.1.10'], undefined, '10.0.1.10/32'],
    ['none', ['fd00::1', '169.254.7.7'], [64, 16], undefined],
  ])('is %s', (_, addresses, prefixlens, offered) => {
    const nic = { ...link('net1', ...addresses), ...(prefixlens ? { prefixlens } : {}) }
    expect(offeredAddress({ routes: [], links: [nic] }, 'net1')).toBe(offered)
  })

  it('has the length of its connected route, where only the routes are known', () => {
    const connected = route(4, '10.0.1.0/24', { dev: 'net1', protocol: 2, src: '10.0.1.10' })
    expect(offeredAddress({ routes: [connected], links: [link('net1', '10.0.1.10')] }, 'net1')).toBe('10.0.1.10/24')
  })
})

describe('kubevirt: true', () => {
  const problems = (conf: Record<string, unknown>, pod = calicoPod()) =>
    planAdd(parseConfig({ kubevirt: true, ...conf }), 'eth0', pod).problems.map(problemText)

  it("is content with Calico's pod", () => {
    expect(problems({ routes: [{ dst: '10.50.0.0/16' }] })).toEqual([])
  })

  it('takes the 35 routes of /16 that option 121 holds beside the link route, and refuses 36', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => ({ dst: `10.${i + 1}.0.0/16` }))
    expect(problems({ routes: many(35) })).toEqual([])
    expect(problems({ routes: many(36) })).toEqual([
      'kubevirt: the 37 IPv4 routes of eth0 take 261 bytes of DHCP option 121, the limit is 255; write fewer and wider prefixes in "routes"',
    ])
    expect(problems({ kubevirt: false, routes: many(36) })).toEqual([])
    expect(problems({ defaultRoute: 'keep', routes: many(35) })).toEqual([
      expect.stringContaining('the 37 IPv4 routes of eth0 take 259 bytes'),
    ])
  })

  it.each([
    ['0.0.0.0/0', 5],
    ['10.0.0.0/8', 6],
    ['10.0.0.0/9', 7],
    ['10.0.0.0/16', 7],
    ['10.0.0.0/17', 8],
    ['10.0.0.0/25', 9],
    ['10.0.0.1/32', 9],
  ])('counts the bytes of %s as RFC 3442 writes it', (dst, bytes) => {
    expect(optionBytes([dst])).toBe(bytes)
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
      `kubevirt: KubeVirt 1.1 and later cannot, with any binding, read ${text}; remove it`,
    ])
  })

  it('refuses IPv6 routes that the kernel shows as one, since they are in one place', () => {
    const hop = route(6, 'fd00:10:60::/48', { gw: 'fd00::1', dev: 'net1' })
    const other = { ...hop, gw: 'fd00::2' }
    expect(problems({}, calicoPod(hop, { ...other, priority: 5 }))).toEqual([])
    expect(problems({}, calicoPod(hop, other))).toEqual([
      'kubevirt: KubeVirt 1.1 and later cannot, with any binding, read the multipath route of fd00:10:60::/48 via fd00::1 dev net1 proto 3 metric 1024 and fd00:10:60::/48 via fd00::2 dev net1 proto 3 metric 1024; remove one',
    ])
  })

  it('says nothing of a NIC without IPv4 address', () => {
    expect(kubevirtProblems({ routes: [], links: [link('eth0', 'fd00::1')] }, 'eth0')).toEqual([])
  })
})
