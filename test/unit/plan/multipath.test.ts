/**
 * Default routes over several next hops. An IPv6 one is several routes to the kernel, which shows them as one: so ours is
 * taken, demoted and restored, and the other NIC's is left. An IPv4 one is one route.
 */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { batchLine, parseRoutes, routeText } from '../../../src/net/iproute2.ts'
import { isMainDefault, type NextHop, type Route, type Snapshot } from '../../../src/net/route.ts'
import { planRestore } from '../../../src/plan/effects.ts'
import { planAdd, planDel } from '../../../src/plan/plan.ts'
import { carryOut, shown } from '../../support/kernel.ts'
import { DEFAULT6, LINK4, link, route } from '../../support/snapshots.ts'

const hop6 = (gw: string, dev: string, more: Partial<Route> = {}) => route(6, '::/0', { gw, dev, ...more })
const OVN6 = hop6('fd00:10:0:1::1', 'net1')
const SECOND6 = hop6('fd00:10:0:1::2', 'net1')
const THIRD6 = hop6('2001:db8:9::1', 'net2')
const UNDERLAY4 = route(4, '10.50.0.0/16', { gw: '169.254.1.1', dev: 'eth0', protocol: 142 })

const hop4 = (gw: string, dev: string): NextHop => ({ gw, dev, weight: 1, onlink: false })
const multipath4 = (...hops: NextHop[]) => route(4, '0.0.0.0/0', { nexthops: hops })
const OVN4 = multipath4(hop4('10.0.1.1', 'net1'), hop4('10.0.1.2', 'net1'))
const SHARED4 = multipath4(hop4('169.254.1.1', 'eth0'), hop4('10.0.1.1', 'net1'))

const pod = (...routes: Route[]): Snapshot => ({
  routes: [LINK4, route(6, 'fd00:10:0:1::/64', { dev: 'net1', protocol: 2, priority: 256 }), ...routes],
  links: [link('eth0', '10.199.3.153'), link('net1', '10.0.1.10'), link('net2', '172.16.3.101')],
})
const defaultsIn = ({ routes }: Snapshot) => routes.filter(isMainDefault).map(routeText)

/** ADD on the kernel: the lines, and the defaults afterwards. A second ADD finds nothing to do, and a rollback undoes it. */
function add(conf: Record<string, unknown>, ifname: string, before: Snapshot) {
  const plan = (now: Snapshot) => planAdd(parseConfig(conf), ifname, shown(now))
  const { ops, problems } = plan(before)
  expect(problems).toEqual([])
  const after = carryOut(before, ops)
  expect(plan(after)).toMatchObject({ ops: [], problems: [] })
  for (let done = 0; done <= ops.length; done++) {
    const now = carryOut(before, ops.slice(0, done))
    const back = carryOut(now, planRestore(shown(before), shown(now), ops))
    expect(ways(back)).toEqual(ways(before))
  }
  return { after, lines: ops.map(batchLine), defaults: defaultsIn(after) }
}

/** Where everything leads, in whatever order: of the protocol of a next hop that is not the first nobody knows. */
const ways = ({ routes }: Snapshot) => routes.map((one) => routeText(one).replace(/ proto \d+/, '')).toSorted()

function del(conf: Record<string, unknown>, ifname: string, before: Snapshot): string[] {
  return defaultsIn(
    carryOut(
      before,
      planDel(() => parseConfig(conf), ifname, shown(before)),
    ),
  )
}

describe('an IPv6 multipath route, as ip shows it', () => {
  const answer = (more: object) =>
    JSON.stringify([
      {
        dst: 'default',
        protocol: '3',
        metric: 1024,
        pref: 'medium',
        ...more,
        nexthops: [
          { gateway: 'fe80::1', dev: 'eth0', weight: 1, flags: [] },
          { gateway: 'fd00::1', dev: 'net1', weight: 3, flags: ['onlink'] },
        ],
      },
    ])

  it('is as many routes, of which only the first is known whole', () => {
    expect(parseRoutes(answer({ metrics: [{ mtu: 1400 }] })).map(routeText)).toEqual([
      '::/0 via fe80::1 dev eth0 proto 3 metric 1024 mtu 1400',
      '::/0 metric 1024 nexthop via fd00::1 dev net1 weight 3 onlink',
    ])
  })

  it('stays one by a nexthop object, which is changed as a whole', () => {
    expect(parseRoutes(answer({ nhid: 7 })).map(routeText)).toEqual(['::/0 nhid 7 proto 3 metric 1024'])
  })
})

describe('an IPv6 default over two NICs', () => {
  it('loses the next hop of the NIC, and keeps that of the other', () => {
    expect(add({}, 'net1', pod(DEFAULT6, OVN6)).lines).toEqual([
      'route del ::/0 via fd00:10:0:1::1 dev net1 metric 1024',
    ])
    expect(add({}, 'eth0', pod(DEFAULT6, OVN6)).lines).toEqual([
      'route del ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024',
    ])
  })

  it('demoted: the next hop of the NIC gets a metric of its own, and DEL puts exactly this one back', () => {
    const conf = { defaultRoute: 'demote' }
    const { after, defaults } = add(conf, 'net1', pod(DEFAULT6, OVN6))
    expect(defaults).toEqual([routeText(DEFAULT6), '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864'])
    expect(del(conf, 'net1', after)).toEqual([
      routeText(DEFAULT6),
      '::/0 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
    ])
  })

  it('is no hindrance to ovnGateway: the next hop of the other NIC is the gateway', () => {
    const { lines } = add({ ovnGateway: 'auto' }, 'eth0', pod(DEFAULT6, OVN6))
    expect(lines).toEqual(['route del ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024'])
  })

  it('whose restored next hop a third NIC has joined: that one stays, ours is demoted', () => {
    const restored = { ...OVN6, protocol: 145 }
    expect(del({ ovnGateway: 'auto' }, 'eth0', pod(restored, THIRD6))).toEqual([
      '::/0 via 2001:db8:9::1 dev net2 proto 3 metric 1024',
      '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
    ])
  })

  it('a gateway is put beside what stays, never in its place', () => {
    const conf = { defaultRoute: 'keep', ovnGateway: { ipv6: 'fd00:10:0:1::7', dev: 'net1', priority: 5 } }
    expect(add(conf, 'eth0', pod(DEFAULT6, OVN6)).lines).toEqual([
      'route add ::/0 via fd00:10:0:1::7 dev net1 proto 143 metric 5',
    ])
    // Both next hops of the NIC go.
    const away = { ovnGateway: { ipv6: 'fd00:10:0:1::7' } }
    expect(add(away, 'net1', pod(OVN6, SECOND6)).lines).toEqual([
      'route append ::/0 via fd00:10:0:1::7 dev net1 proto 143 metric 1024',
      'route del ::/0 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
      'route del ::/0 via fd00:10:0:1::2 dev net1 metric 1024',
    ])
  })
})

describe('a default over several next hops of one NIC', () => {
  const demote = { defaultRoute: 'demote' }
  const auto = { ovnGateway: 'auto', routes: [{ dst: '10.50.0.0/16' }] }

  it('is demoted as a whole, and restored by DEL', () => {
    const { after, defaults } = add(demote, 'net1', pod(OVN4, OVN6, SECOND6))
    const hops = 'nexthop via 10.0.1.1 dev net1 weight 1 nexthop via 10.0.1.2 dev net1 weight 1'
    expect(defaults).toEqual([
      `0.0.0.0/0 proto 144 metric 4026531840 ${hops}`,
      '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
      '::/0 via fd00:10:0:1::2 dev net1 proto 144 metric 4026532864',
    ])
    expect(del(demote, 'net1', after)).toEqual([
      `0.0.0.0/0 proto 3 ${hops}`,
      '::/0 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
      '::/0 via fd00:10:0:1::2 dev net1 proto 3 metric 1024',
    ])
  })

  it('is restored as a whole by auto, and demoted as a whole by DEL', () => {
    const { after } = add(demote, 'net1', pod(OVN4, OVN6, SECOND6))
    const { after: restored, defaults } = add(auto, 'eth0', { ...after, routes: [...after.routes, DEFAULT6] })
    expect(defaults.toSorted()).toEqual([
      '0.0.0.0/0 proto 145 nexthop via 10.0.1.1 dev net1 weight 1 nexthop via 10.0.1.2 dev net1 weight 1',
      '::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
      '::/0 via fd00:10:0:1::2 dev net1 proto 145 metric 1024',
    ])
    expect(del(auto, 'eth0', restored).toSorted()).toEqual(defaultsIn(after).toSorted())
  })

  it('an interrupted demotion is finished, with no next hop lost', () => {
    const { ops } = planAdd(parseConfig(demote), 'net1', pod(OVN6, SECOND6))
    for (let done = 0; done <= ops.length; done++) {
      const { defaults } = add(demote, 'net1', carryOut(pod(OVN6, SECOND6), ops.slice(0, done)))
      expect(defaults.toSorted()).toEqual([
        '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
        '::/0 via fd00:10:0:1::2 dev net1 proto 144 metric 4026532864',
      ])
    }
  })
})

describe('an IPv4 default over two NICs', () => {
  it('is replaced by what remains of it', () => {
    expect(add({}, 'eth0', pod(SHARED4)).lines).toEqual(['route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 3'])
    const three = multipath4(...(SHARED4.nexthops ?? []), hop4('172.16.3.2', 'net2'))
    expect(add({}, 'eth0', pod(three)).lines).toEqual([
      'route replace 0.0.0.0/0 proto 3 nexthop via 10.0.1.1 dev net1 weight 1 nexthop via 172.16.3.2 dev net2 weight 1',
    ])
  })

  it('gives the gateway that auto finds', () => {
    expect(add({ ovnGateway: 'auto' }, 'eth0', pod(SHARED4)).defaults).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 3',
    ])
  })

  it('demoted: what is of the NIC gets a metric of its own', () => {
    expect(add({ defaultRoute: 'demote' }, 'net1', pod(SHARED4)).lines).toEqual([
      'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
      'route replace 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
    ])
  })
})

describe('a gateway of an address on a NIC whose default is demoted', () => {
  const NET1 = route(4, '0.0.0.0/0', { gw: '10.0.1.9', dev: 'net1' })
  const subnet = route(4, '10.0.1.0/24', { dev: 'net1', protocol: 2 })
  const own6 = hop6('fd00:10:0:1::9', 'net1')
  const conf = { defaultRoute: 'demote', ovnGateway: { ipv4: '10.0.1.1', ipv6: 'fd00:10:0:1::1' } }

  it('keeps the demoted one, which DEL gives back', () => {
    const { after, defaults } = add(conf, 'net1', pod(subnet, NET1, own6))
    expect(defaults).toContain('0.0.0.0/0 via 10.0.1.9 dev net1 proto 144 metric 4026531840')
    expect(defaults).toContain('::/0 via fd00:10:0:1::9 dev net1 proto 144 metric 4026532864')
    expect(del(conf, 'net1', after).toSorted()).toEqual([routeText(NET1), routeText(own6)].toSorted())
  })
})

describe('what came to the NIC besides', () => {
  const ra = hop6('fe80::99', 'net1', { protocol: 9, expires: 1800 })

  it('and ends by itself, as from a router advertisement, takes the place of no demoted default', () => {
    const demote = { defaultRoute: 'demote' }
    const { after } = add(demote, 'net1', pod(OVN6))
    const { after: later } = add(demote, 'net1', { ...after, routes: [...after.routes, ra] })
    expect(del(demote, 'net1', later)).toContain(routeText(OVN6))
  })

  it('is no hop of ours, though the kernel shows it with our protocol', () => {
    const conf = { defaultRoute: 'keep', ovnGateway: { ipv6: 'fd00:10:0:1::1' } }
    const made = { ...OVN6, protocol: 143 }
    const theirs = { ...SECOND6, protocol: 99 }
    expect(del(conf, 'net1', pod(made, theirs))).toEqual([routeText(theirs)])
    const other = { defaultRoute: 'keep', ovnGateway: { ipv6: 'fd00:10:0:1::7' } }
    expect(planAdd(parseConfig(other), 'net1', shown(pod(made, theirs))).problems).toHaveLength(1)
  })

  it('is not marked where it is several next hops: that would be several writes', () => {
    expect(add({ defaultRoute: 'demote' }, 'net1', pod(OVN6, SECOND6, UNDERLAY4)).lines).toEqual([])
  })
})

describe('DEL', () => {
  it('of one NIC leaves what was made over two gateways of another', () => {
    const made = { ...OVN4, protocol: 143, priority: 4096 }
    expect(del({ ovnGateway: 'auto' }, 'eth0', pod(made))).toEqual([routeText(made)])
    expect(del({ ovnGateway: { priority: 4096 } }, 'net1', pod(made))).toEqual([])
    expect(del({ ovnGateway: { dev: 'net1', priority: 4096 } }, 'eth0', pod(made))).toEqual([])
  })

  it('takes what auto made of a demoted default with another metric', () => {
    const parked = { ...OVN4, protocol: 144, priority: 0xf0000000 }
    const conf = { ovnGateway: { priority: 77 } }
    const { after, defaults } = add(conf, 'eth0', pod(parked))
    expect(defaults).toHaveLength(2)
    expect(del(conf, 'eth0', after)).toEqual([routeText(parked)])
  })

  it('gives back a restored default, too', () => {
    const restored = [
      { ...OVN4, protocol: 145 },
      { ...OVN6, protocol: 145 },
    ]
    expect(del({ defaultRoute: 'demote' }, 'net1', pod(...restored))).toEqual([
      routeText(OVN4),
      '::/0 via fd00:10:0:1::1 dev net1 proto 3 metric 1024',
    ])
  })

  it('puts a demoted IPv4 default behind one of another NIC that has its place, as it was', () => {
    const conf = { defaultRoute: 'demote' }
    const { after } = add(conf, 'net1', pod(SHARED4))
    expect(del(conf, 'net1', after)).toEqual([
      '0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 3',
    ])
  })

  it('of Calico’s NIC takes the copy that a newer default has superseded', () => {
    const old = { ...hop6('fd00:10:0:1::9', 'net1'), protocol: 144, priority: 0xf0000400 }
    const restored = { ...OVN6, protocol: 145 }
    expect(del({ ovnGateway: 'auto' }, 'eth0', pod(old, restored))).toEqual([
      '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
    ])
  })
})

describe('demote and auto on one NIC', () => {
  it('park it, whatever default another NIC has', () => {
    const conf = { defaultRoute: 'demote', ovnGateway: 'auto' }
    const NET1 = route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1', priority: 100 })
    const other = route(4, '0.0.0.0/0', { gw: '169.254.1.1', dev: 'eth0' })
    expect(add(conf, 'net1', pod(NET1, other)).defaults).toEqual([
      routeText(other),
      '0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531940',
    ])
  })
})

describe('the part of an IPv4 multipath route', () => {
  it('keeps what its next hop has', () => {
    const far: NextHop = { gw: '203.0.113.1', dev: 'net1', weight: 1, onlink: true }
    expect(add({}, 'eth0', pod(multipath4(hop4('169.254.1.1', 'eth0'), far))).lines).toEqual([
      'route replace 0.0.0.0/0 via 203.0.113.1 dev net1 onlink proto 3',
    ])
  })

  it('that is of the NIC is what routes learn from', () => {
    const { lines } = add({ routes: [{ dst: '10.60.0.0/16' }] }, 'net1', pod(SHARED4))
    expect(lines[0]).toBe('route add 10.60.0.0/16 via 10.0.1.1 dev net1 proto 142')
  })
})

describe('each default route has one fate', () => {
  const PARKED4 = route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1', protocol: 144, priority: 0xf0000000 })
  const PARKED6 = { ...OVN6, protocol: 144, priority: 0xf0000400 }
  const subnet = route(4, '10.0.1.0/24', { dev: 'net1', protocol: 2 })

  it.each<[string, unknown, string[]]>([
    [
      'restored by auto, while Calico is attached, it comes once',
      'auto',
      ['0.0.0.0/0 via 10.0.1.1 dev net1 proto 145', '::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024'],
    ],
    [
      'an address takes the place of the demoted one, which stays for DEL to restore',
      { ipv4: '10.0.1.1', ipv6: 'fd00:10:0:1::1' },
      [
        '0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
        '::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
        '0.0.0.0/0 via 10.0.1.1 dev net1 proto 143',
        '::/0 via fd00:10:0:1::1 dev net1 proto 143 metric 1024',
      ],
    ],
  ])('%s', (_, ovnGateway, expected) => {
    const conf = { defaultRoute: 'demote', ovnGateway }
    const { after, defaults } = add(conf, 'net1', pod(subnet, PARKED4, PARKED6, UNDERLAY4))
    expect(defaults).toEqual(expected)
    expect(del(conf, 'net1', after).map((text) => text.replace(/ proto.*/, ''))).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev net1',
      '::/0 via fd00:10:0:1::1 dev net1',
    ])
  })
})
