import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { batchLine, routeText } from '../../../src/net/iproute2.ts'
import { isMainDefault, type Route, type Snapshot } from '../../../src/net/route.ts'
import type { GatewayAddresses } from '../../../src/plan/gateway.ts'
import { planAdd, planDel } from '../../../src/plan/plan.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { carryOut, shown } from '../../support/kernel.ts'
import { DEFAULT4, DEFAULT6, LINK4, link, route } from '../../support/snapshots.ts'

// A pod with Calico's eth0 and Kube-OVN's net1, as it is after both, whatever defaults a test puts in.
const OVN4 = route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1' })
const OVN6 = route(6, '::/0', { gw: 'fd00:10:0:1::1', dev: 'net1' })
const SUBNETS = [
  route(4, '10.0.1.0/24', { dev: 'net1', protocol: 2, src: '10.0.1.10' }),
  route(6, 'fd00:10:0:1::/64', { dev: 'net1', protocol: 2, priority: 256 }),
]
const UNDERLAY4 = route(4, '10.50.0.0/16', { gw: '169.254.1.1', dev: 'eth0', protocol: 142 })
const PARKED4 = route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1', protocol: 144, priority: 0xf0000000 })
const PARKED6 = route(6, '::/0', { gw: 'fd00:10:0:1::1', dev: 'net1', protocol: 144, priority: 0xf0000400 })

const pod = (...routes: Route[]): Snapshot => ({
  routes: [LINK4, ...SUBNETS, ...routes],
  links: [
    link('lo', '127.0.0.1'),
    link('eth0', '10.199.3.153'),
    link('net1', '10.0.1.10'),
    link('net2', '172.16.3.101'),
  ],
})

function add(conf: Record<string, unknown>, ifname: string, before: Snapshot, gateways: GatewayAddresses = {}) {
  const plan = planAdd(parseConfig(conf), ifname, before, { gatewayAddresses: gateways })
  if (plan.problems.length > 0) return { problems: plan.problems.map(problemText) }
  const after = carryOut(before, plan.ops)
  // Whatever it is, it is done then.
  expect(planAdd(parseConfig(conf), ifname, shown(after), { gatewayAddresses: gateways }).ops).toEqual([])
  return {
    lines: plan.ops.map(batchLine),
    defaults: after.routes.filter(isMainDefault).map(routeText),
    warnings: plan.warnings,
  }
}

describe('demote', () => {
  const conf = { defaultRoute: 'demote' }

  it('gives the defaults of the NIC a metric behind all others, adding before deleting', () => {
    expect(add(conf, 'net1', pod(OVN4, OVN6)).lines).toEqual([
      'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
      'route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 3',
      'route add ::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
      'route del ::/0 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
    ])
  })

  it('keeps what else the default has', () => {
    const special = { ...OVN4, priority: 7, attributes: { mtu: 1400 }, src: '10.0.1.10' }
    expect(add(conf, 'net1', pod(special)).lines).toEqual([
      'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531847 src 10.0.1.10 mtu 1400',
      'route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 3 metric 7 src 10.0.1.10 mtu 1400',
    ])
  })

  it.each<[string, Snapshot]>([
    ['the NIC has no default', pod()],
    ['it is done already', pod(PARKED4, PARKED6)],
    ['the default is of another NIC', pod(DEFAULT4, DEFAULT6)],
  ])('does nothing where %s', (_, before) => {
    expect(add(conf, 'net1', before).lines).toEqual([])
  })

  it("marks what came while Calico's NIC is there, so that DEL of that NIC demotes it", () => {
    const { lines } = add(conf, 'net1', pod(OVN4, OVN6, UNDERLAY4))
    expect(lines).toEqual([
      'route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
      'route replace ::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
    ])
    const mortal = { ...OVN6, protocol: 9, expires: 1800 }
    expect(add(conf, 'net1', pod(mortal, UNDERLAY4)).lines).toEqual([])
  })

  it("restores what it demoted when Calico's NIC turns out to be there", () => {
    expect(add(conf, 'net1', pod(PARKED4, PARKED6, UNDERLAY4)).defaults).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
      '::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
    ])
  })
})

describe('ovnGateway: auto on the NIC of Calico', () => {
  const conf = { ovnGateway: 'auto', routes: [{ dst: '10.50.0.0/16' }] }

  it('restores the demoted default of the other NIC, in place of the one of Calico', () => {
    expect(add(conf, 'eth0', pod(DEFAULT4, DEFAULT6, PARKED4, PARKED6))).toEqual({
      lines: [
        'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        'route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
        'route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
        'route replace ::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
        'route del ::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
      ],
      defaults: ['0.0.0.0/0 via 10.0.1.1 dev net1 proto 145', '::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024'],
      warnings: [],
    })
  })

  it('is content with a default that the other NIC has', () => {
    expect(add(conf, 'eth0', pod(OVN4, DEFAULT6)).defaults).toEqual(['0.0.0.0/0 via 10.0.1.1 dev net1 proto 3'])
  })

  it('needs one of the families only', () => {
    expect(add(conf, 'eth0', pod(DEFAULT4, DEFAULT6, PARKED4)).defaults).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
    ])
  })

  it('without any other gateway is a problem, and says what to write', () => {
    expect(add(conf, 'eth0', pod(DEFAULT4, DEFAULT6))).toEqual({
      problems: [
        'ovnGateway: no IPv4 or IPv6 gateway is known: no other NIC has a default route, and the previous plugin reported no gateway for eth0; write its address, such as "10.0.1.1"',
      ],
    })
  })

  it('for a family by name needs that family', () => {
    expect(add({ ovnGateway: { ipv6: 'auto' } }, 'eth0', pod(DEFAULT4, PARKED4))).toEqual({
      problems: [
        'ovnGateway: no IPv6 gateway is known: no other NIC has a default route, and the previous plugin reported no gateway for eth0; write its address, such as "10.0.1.1"',
      ],
    })
  })

  it('reports the default of a third NIC and leaves it', () => {
    const foreign = route(4, '0.0.0.0/0', { gw: '172.16.3.2', dev: 'net2', priority: 50 })
    expect(add(conf, 'eth0', pod(DEFAULT4, PARKED4, foreign))).toMatchObject({
      defaults: ['0.0.0.0/0 via 10.0.1.1 dev net1 proto 145', '0.0.0.0/0 via 172.16.3.2 dev net2 proto 3 metric 50'],
      warnings: ['the pod keeps another default route: 0.0.0.0/0 via 172.16.3.2 dev net2 proto 3 metric 50'],
    })
  })

  it('does not take the place of the default of a third NIC', () => {
    const foreign = route(4, '0.0.0.0/0', { gw: '172.16.3.2', dev: 'net2' })
    expect(add(conf, 'eth0', pod(PARKED4, foreign))).toEqual({
      problems: [
        "ovnGateway: the pod has another default route with the same metric: 0.0.0.0/0 via 172.16.3.2 dev net2 proto 3; remove it by x-calico-route in the network of net2, which v1.multus-cni.io/default-network must name if it is the pod's first",
      ],
    })
  })
})

describe('ovnGateway on the NIC of Kube-OVN', () => {
  it.each<[string, GatewayAddresses, Route[], string]>([
    [
      'makes the default that was reported and is not there',
      { 4: '10.0.1.1' },
      [],
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 143',
    ],
    ['keeps the default that is there', { 4: '10.0.1.1' }, [OVN4], '0.0.0.0/0 via 10.0.1.1 dev net1 proto 3'],
    [
      "trusts the kernel's gateway more than the reported one",
      { 4: '10.0.1.1' },
      [{ ...OVN4, gw: '10.0.1.254' }],
      '0.0.0.0/0 via 10.0.1.254 dev net1 proto 3',
    ],
  ])('auto %s', (_, gateways, routes, expected) => {
    expect(add({ ovnGateway: 'auto' }, 'net1', pod(...routes), gateways).defaults).toEqual([expected])
  })

  it('is not on-link by what is about to go', () => {
    const onLink = route(4, '0.0.0.0/0', { dev: 'net1' })
    expect(add({ ovnGateway: '10.9.9.1' }, 'net1', pod(onLink)).problems).toEqual([
      expect.stringMatching(/^ovnGateway: 10\.9\.9\.1 is not on-link on net1; .*"onlink": true$/),
    ])
  })

  it('takes an address, a priority and another NIC', () => {
    expect(add({ ovnGateway: '10.0.1.1' }, 'net1', pod()).defaults).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 143',
    ])
    expect(add({ ovnGateway: { ipv4: '10.0.1.1', dev: 'net1', priority: 5 } }, 'eth0', pod(DEFAULT4)).defaults).toEqual(
      ['0.0.0.0/0 via 10.0.1.1 dev net1 proto 143 metric 5'],
    )
  })

  it.each<[string, unknown, string]>([
    [
      'a gateway that is not on-link',
      '10.0.9.1',
      'ovnGateway: 10.0.9.1 is not on-link on net1; write the gateway of its subnet, another NIC as "dev", or "onlink": true',
    ],
    [
      'a NIC that is not there',
      { ipv4: '10.0.1.1', dev: 'net9' },
      'ovnGateway.dev: the pod has no interface net9; it has lo, eth0, net1, net2',
    ],
    [
      'auto on a NIC without default',
      { ipv4: 'auto', dev: 'net2' },
      'ovnGateway: no IPv4 gateway is known: there is no default route on net2; write its address, such as "10.0.1.1"',
    ],
  ])('refuses %s', (_, ovnGateway, problem) => {
    expect(add({ ovnGateway }, 'net1', pod())).toEqual({ problems: [problem] })
  })

  it('takes a gateway that is not on-link with onlink', () => {
    expect(add({ ovnGateway: { ipv4: '10.0.9.1', onlink: true } }, 'net1', pod()).defaults).toEqual([
      '0.0.0.0/0 via 10.0.9.1 dev net1 onlink proto 143',
    ])
  })

  it('refuses a NIC that is down', () => {
    const down = { ...pod(), links: [{ ...link('net1'), up: false }] }
    expect(add({ ovnGateway: { ipv4: '10.0.1.1', dev: 'net1' } }, 'net1', down)).toEqual({
      problems: ['ovnGateway.dev: interface net1 is down; the plugin that made it must set it up'],
    })
  })
})

describe('DEL', () => {
  const del = (conf: Record<string, unknown>, ifname: string, before: Snapshot) => {
    const after = carryOut(
      before,
      planDel(() => parseConfig(conf), ifname, before),
    )
    return after.routes.filter(isMainDefault).map(routeText)
  }

  it('takes the default that was made for the NIC', () => {
    expect(del({ ovnGateway: 'auto' }, 'net1', pod(route(4, '0.0.0.0/0', { ...OVN4, protocol: 143 })))).toEqual([])
  })

  it('takes the default that was made on another NIC for it', () => {
    const made = route(4, '0.0.0.0/0', { ...OVN4, protocol: 143 })
    expect(del({ ovnGateway: { ipv4: '10.0.1.1', dev: 'net1' } }, 'eth0', pod(made))).toEqual([])
    expect(del({}, 'eth0', pod(made))).toHaveLength(1)
  })

  it("of Calico's NIC demotes again what it had restored, so that it can come back", () => {
    const restored = [
      { ...OVN4, protocol: 145 },
      { ...OVN6, protocol: 145 },
    ]
    const demoted = [
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
      '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
    ]
    expect(del({ ovnGateway: 'auto' }, 'eth0', pod(...restored))).toEqual(demoted)
    // What ADD did not come to restore, and what never was demoted, stays as it is.
    expect(del({ ovnGateway: 'auto' }, 'eth0', pod(PARKED4, PARKED6))).toEqual(demoted)
    expect(del({ ovnGateway: 'auto' }, 'eth0', pod(OVN4))).toEqual(['0.0.0.0/0 via 10.0.1.1 dev net1 proto 3'])
  })

  it('of the NIC that was demoted restores it', () => {
    expect(del({}, 'net1', pod(PARKED4, PARKED6))).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 3',
      '::/0 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
    ])
  })
})

describe('several demoted defaults', () => {
  const second = route(4, '0.0.0.0/0', { gw: '172.16.3.2', dev: 'net2' })

  it('each have a metric of their own, which tells the old one', () => {
    const { defaults } = add({ defaultRoute: 'demote' }, 'net2', pod(PARKED4, second))
    expect(defaults).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
      '0.0.0.0/0 via 172.16.3.2 dev net2 proto 144 metric 4043309056',
    ])
    const both = pod(PARKED4, { ...second, protocol: 144, priority: 4043309056 })
    expect(add({ ovnGateway: { ipv4: 'auto', dev: 'net2' } }, 'eth0', both).defaults).toContain(
      '0.0.0.0/0 via 172.16.3.2 dev net2 proto 145',
    )
  })
})

describe('two demoted defaults', () => {
  it('one is restored, the other stays where it is and is reported', () => {
    const other = route(4, '0.0.0.0/0', { gw: '172.16.3.2', dev: 'net2', protocol: 144, priority: 0xf1000000 })
    expect(add({ ovnGateway: 'auto' }, 'eth0', pod(DEFAULT4, PARKED4, other))).toMatchObject({
      defaults: [
        '0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
        '0.0.0.0/0 via 172.16.3.2 dev net2 proto 144 metric 4043309056',
      ],
      warnings: ['the pod keeps another default route: 0.0.0.0/0 via 172.16.3.2 dev net2 proto 144 metric 4043309056'],
    })
  })

  it.each([4, 6] as const)('of one NIC by one IPv%i next hop: the one of the better metric is restored, once', (of) => {
    const parked = of === 4 ? PARKED4 : PARKED6
    const worse = { ...parked, priority: parked.priority + 100 }
    expect(add({ ovnGateway: 'auto' }, 'eth0', pod(parked, worse)).defaults).toEqual([
      routeText(worse),
      routeText({ ...parked, protocol: 145, priority: parked.priority - 0xf0000000 }),
    ])
  })
})

describe('several defaults in one place', () => {
  it('are not demoted beside the one that ovnGateway wants, since DEL could not tell which of them is newer', () => {
    const onLink = { ...OVN6, gw: undefined } as unknown as Route
    for (const both of [
      [onLink, OVN6],
      [OVN6, onLink],
    ])
      expect(add({ defaultRoute: 'demote', ovnGateway: OVN6.gw }, 'net1', pod(...both)).problems?.[0]).toBe(
        'defaultRoute: cannot demote one of two default routes with metric 1024 while ovnGateway wants the other: ::/0 dev net1 proto 3 metric 1024; write {"ipv6": "remove"}',
      )
  })

  const address4 = { ovnGateway: { ipv4: '10.0.1.1', dev: 'net1' } }
  const address6 = { ovnGateway: { ipv6: 'fd00:10:0:1::1', dev: 'net1' } }
  const lines = (conf: Record<string, unknown>, ifname: string, ...routes: Route[]) =>
    planAdd(parseConfig(conf), ifname, pod(...routes)).ops.map(batchLine)

  it('the one asked for stays, the one of the NIC goes, whichever was appended', () => {
    const pairs = [
      [DEFAULT4, OVN4],
      [OVN4, DEFAULT4],
    ]
    for (const pair of pairs)
      expect(lines(address4, 'eth0', ...pair)).toEqual(['route del 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3'])
  })

  it('all of the NIC go, also those that the gateway did not replace', () => {
    const appended = { ...DEFAULT4, gw: '169.254.1.2' }
    expect(lines(address4, 'eth0', DEFAULT4, appended)).toEqual([
      'route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143',
      'route del 0.0.0.0/0 via 169.254.1.2 dev eth0 proto 3',
    ])
  })

  it('one of another NIC keeps IPv6 from replacing: the kernel might take that one', () => {
    const learnt = { ...DEFAULT6, gw: 'fe80::1', protocol: 9 }
    const third = { ...OVN6, gw: 'fd00:10:0:2::1', dev: 'net2' }
    expect(planAdd(parseConfig(address6), 'eth0', pod(learnt, third)).problems.map(problemText)).toEqual([
      "ovnGateway: the pod has another default route with the same metric: ::/0 via fd00:10:0:2::1 dev net2 proto 3 metric 1024; remove it by x-calico-route in the network of net2, which v1.multus-cni.io/default-network must name if it is the pod's first",
    ])
  })

  it('one that comes after the one that stands, as from a router advertisement, is no reason to refuse, but to warn', () => {
    const learnt = { ...DEFAULT6, gw: 'fe80::1', protocol: 9, expires: 1800 }
    const { lines, warnings } = add({ ovnGateway: { ipv6: 'auto' } }, 'net1', pod(OVN6, learnt), {
      6: 'fd00:10:0:1::1',
    })
    expect({ lines, warnings }).toEqual({
      lines: [],
      warnings: ['the pod keeps another default route: ::/0 via fe80::1 dev eth0 proto 9 metric 1024 expires 1800'],
    })
  })

  it('one that comes before the one that stands takes the packets: refused', () => {
    expect(add({ ...address4, defaultRoute: 'keep' }, 'eth0', pod(DEFAULT4, OVN4))).toEqual({
      problems: [
        "ovnGateway: the pod has another default route with the same metric: 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3; remove it by x-calico-route in the network of eth0, which v1.multus-cni.io/default-network must name if it is the pod's first",
      ],
    })
  })

  it('one of a lower metric goes before the one asked for, which the warning says', () => {
    const behind = { defaultRoute: 'keep', ovnGateway: { ipv4: '10.0.1.1', dev: 'net1', priority: 100 } }
    expect(add(behind, 'eth0', pod(DEFAULT4)).warnings).toEqual([
      'the pod keeps another default route, with a lower metric than the one of ovnGateway: 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
    ])
  })

  it('are demoted to one copy, of the first, which is in effect', () => {
    const appended = { ...OVN4, gw: '10.0.1.254' }
    expect(add({ defaultRoute: 'demote' }, 'net1', pod(OVN4, appended))).toMatchObject({
      lines: [
        'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
        'route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 3',
        'route del 0.0.0.0/0 via 10.0.1.254 dev net1 proto 3',
      ],
      defaults: ['0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840'],
    })
  })

  it('one that came after the demotion counts, not the copy', () => {
    const later = { ...OVN4, gw: '10.0.1.254' }
    expect(add({ defaultRoute: 'demote' }, 'net1', pod(PARKED4, later)).lines).toEqual([
      'route replace 0.0.0.0/0 via 10.0.1.254 dev net1 proto 144 metric 4026531840',
      'route del 0.0.0.0/0 via 10.0.1.254 dev net1 proto 3',
    ])
    const away = ['route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840']
    expect(planDel(() => ({ routes: [] }), 'net1', pod(PARKED4, later)).map(batchLine)).toEqual(away)
    expect(add({ defaultRoute: 'demote' }, 'net1', pod(PARKED4, later, UNDERLAY4)).lines).toEqual([
      'route replace 0.0.0.0/0 via 10.0.1.254 dev net1 proto 145',
      ...away,
    ])
    expect(add({ ovnGateway: 'auto' }, 'eth0', pod(PARKED4, later)).lines).toEqual([])
  })
})

describe('a default for some packets only', () => {
  const fromSubnet = route(6, '::/0', { gw: 'fd00:10:0:1::1', dev: 'net1', from: 'fd00:10:0:1::/64' })

  it('is not the gateway asked for', () => {
    const { lines } = add({ ovnGateway: { ipv6: 'fd00:10:0:1::1', dev: 'net1' } }, 'eth0', pod(fromSubnet, DEFAULT6))
    expect(lines).toEqual(['route replace ::/0 via fd00:10:0:1::1 dev net1 proto 143 metric 1024'])
  })

  it('goes with the others of the NIC', () => {
    expect(add({}, 'net1', pod(fromSubnet)).lines).toEqual([
      'route del ::/0 from fd00:10:0:1::/64 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
    ])
    expect(add({}, 'eth0', pod({ ...DEFAULT4, tos: '0x10' })).lines).toEqual([
      'route del 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3 tos 0x10',
    ])
  })

  it('lends its next hop to nobody', () => {
    const plan = planAdd(parseConfig({ routes: [{ dst: 'fd00::/48' }] }), 'net1', pod(fromSubnet))
    expect(plan.problems).toHaveLength(1)
  })
})

describe('a default that could not be put back as it was', () => {
  it.each<[string, Partial<Route>, string]>([
    [
      'has an attribute that ip does not print as it takes it',
      { opaque: 'features' },
      '"features" could not be restored: 0.0.0.0/0 via 10.0.1.1 dev net1 proto 3; write "defaultRoute": {"ipv4": "keep"} to keep it',
    ],
    [
      'has too large a metric',
      { priority: 300_000_000 },
      'metric 300000000 is too large to demote: 0.0.0.0/0 via 10.0.1.1 dev net1 proto 3 metric 300000000; write "defaultRoute": {"ipv4": "keep"} to keep it',
    ],
  ])('is not demoted: it %s', (_, more, problem) => {
    const { problems, ops } = planAdd(parseConfig({ defaultRoute: 'demote' }), 'net1', pod({ ...OVN4, ...more }))
    expect(problems.map(problemText)).toEqual([expect.stringContaining(problem)])
    expect(ops).toEqual([])
  })
})

describe('a second NIC of Kube-OVN with routes of ours', () => {
  it("is not taken for Calico's: the default still makes way", () => {
    const ours = route(4, '10.60.0.0/16', { gw: '10.0.1.1', dev: 'net1', protocol: 142 })
    const second = route(4, '0.0.0.0/0', { gw: '172.16.3.2', dev: 'net2' })
    expect(add({ defaultRoute: 'demote' }, 'net2', pod(PARKED4, ours, second)).defaults).not.toContain(
      '0.0.0.0/0 via 172.16.3.2 dev net2 proto 3',
    )
  })
})

describe('the next hop of a route beside ovnGateway', () => {
  const conf = { ovnGateway: '10.0.1.7', routes: [{ dst: '10.88.0.0/16' }] }

  it("is that of the NIC's own default, also when that is gone", () => {
    expect(add(conf, 'net1', pod(OVN4)).lines).toEqual([
      'route add 10.88.0.0/16 via 10.0.1.1 dev net1 proto 142',
      'route replace 0.0.0.0/0 via 10.0.1.7 dev net1 proto 143',
    ])
  })

  it('is the gateway itself where the NIC has no default of its own', () => {
    expect(add(conf, 'net1', pod()).lines).toContain('route add 10.88.0.0/16 via 10.0.1.7 dev net1 proto 142')
  })
})
