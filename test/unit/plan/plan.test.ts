import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { batchLine } from '../../../src/net/iproute2.ts'
import type { Route } from '../../../src/net/route.ts'
import { planAdd, planDel } from '../../../src/plan/plan.ts'
import { batch } from '../../support/batch.ts'
import { carryOut } from '../../support/kernel.ts'
import { refusal } from '../../support/refusal.ts'
import { calicoPod, link, route } from '../../support/snapshots.ts'

const OURS = { dev: 'eth0', protocol: 142 }
const REMOVE4 = 'route del 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3'
const REMOVE6 = 'route del ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024'

describe('ADD in a pod as Calico wires it', () => {
  it('removes the default routes of both families', () => {
    expect(batch({})).toEqual([REMOVE4, REMOVE6])
  })

  it('adds the underlay routes through the next hop of the default, before the default goes', () => {
    expect(batch({ routes: [{ dst: '10.199.0.0/16' }, { dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48' }] })).toEqual([
      'route add 10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'route add fd00:10:50::/48 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
      REMOVE4,
      REMOVE6,
    ])
  })

  it.each<[string, unknown, string[]]>([
    ['keep', 'keep', []],
    ['keep for IPv4 only', { ipv4: 'keep' }, [REMOVE6]],
    ['keep for IPv6 only', { ipv6: 'keep' }, [REMOVE4]],
  ])('defaultRoute %s', (_, defaultRoute, lines) => {
    expect(batch({ defaultRoute })).toEqual(lines)
  })

  it.each<[Record<string, unknown>, string]>([
    [{ gw: '10.199.3.1' }, 'via 10.199.3.1 dev eth0 proto 142'],
    [{ gw: '10.9.9.9', onlink: true }, 'via 10.9.9.9 dev eth0 onlink proto 142'],
    [{ scope: 'link' }, 'dev eth0 proto 142'],
    [{ scope: 'site' }, 'via 169.254.1.1 dev eth0 proto 142 scope 200'],
    [{ src: '10.199.3.153' }, 'via 169.254.1.1 dev eth0 proto 142 src 10.199.3.153'],
    [{ priority: 50 }, 'via 169.254.1.1 dev eth0 proto 142 metric 50'],
    [{ table: 100 }, 'via 169.254.1.1 dev eth0 table 100 proto 142'],
    [{ mtu: 1400, advmss: 1360 }, 'via 169.254.1.1 dev eth0 proto 142 mtu 1400 advmss 1360'],
    [{ dev: 'net1', gw: '10.0.1.1' }, 'via 10.0.1.1 dev net1 proto 142'],
  ])('a route with %j', (keys, words) => {
    expect(batch({ defaultRoute: 'keep', routes: [{ dst: '10.50.0.0/16', ...keys }] })).toEqual([
      `route add 10.50.0.0/16 ${words}`,
    ])
  })

  it('finds nothing to do the second time', () => {
    const conf = {
      routes: [{ dst: '10.50.0.0/16' }, { dst: '10.60.0.0/16', gw: '10.199.3.1' }, { dst: 'fd00:10:50::/48' }],
    }
    const pod = calicoPod()
    const after = carryOut(pod, planAdd(parseConfig(conf), 'eth0', pod).ops)
    expect(batch(conf, after)).toEqual([])
  })
})

describe('the default routes that go', () => {
  const foreign = route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1', priority: 100 })

  it('are those of the interface only', () => {
    expect(batch({}, calicoPod(foreign))).toEqual([REMOVE4, REMOVE6])
  })

  it('are those of the main table only', () => {
    expect(batch({}, calicoPod(route(4, '0.0.0.0/0', { gw: '10.0.0.1', dev: 'eth0', table: 100 })))).toEqual([
      REMOVE4,
      REMOVE6,
    ])
  })

  it('are all there are, whatever their metric', () => {
    const second = route(4, '0.0.0.0/0', { gw: '169.254.1.1', dev: 'eth0', priority: 100, protocol: 16 })
    expect(batch({ defaultRoute: { ipv6: 'keep' } }, calicoPod(second))).toEqual([
      REMOVE4,
      'route del 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 16 metric 100',
    ])
  })

  it('may be multipath if all of it leaves by the interface', () => {
    const nexthops = ['10.0.0.1', '10.0.0.2'].map((gw) => ({ gw, dev: 'eth0', weight: 1, onlink: false }))
    const pod = { ...calicoPod(), routes: [route(4, '0.0.0.0/0', { nexthops })] }
    expect(batch({ routes: [{ dst: '10.50.0.0/16' }] }, pod)).toEqual([
      'route add 10.50.0.0/16 via 10.0.0.1 dev eth0 proto 142',
      'route del 0.0.0.0/0 proto 3 nexthop via 10.0.0.1 dev eth0 weight 1 nexthop via 10.0.0.2 dev eth0 weight 1',
    ])
  })

  it.each<[string, Partial<Route>, string]>([
    [
      'shares its next hops with another interface by a nexthop object',
      {
        nhid: 7,
        nexthops: [
          { gw: '10.0.0.1', dev: 'eth0', weight: 1, onlink: false },
          { gw: '10.0.1.1', dev: 'net1', weight: 1, onlink: false },
        ],
      },
      'defaultRoute: nexthop object 7 cannot be split: 0.0.0.0/0 uses it over eth0 and net1; write "defaultRoute": {"ipv4": "keep"} to keep it',
    ],
    [
      'could not be put back',
      { gw: '10.0.0.1', dev: 'eth0', opaque: 'encap' },
      'defaultRoute: "encap" could not be restored: 0.0.0.0/0 via 10.0.0.1 dev eth0 proto 3; write "defaultRoute": {"ipv4": "keep"} to keep it',
    ],
  ])('refuse a default that %s', (_, more, message) => {
    const pod = { ...calicoPod(), routes: [route(4, '0.0.0.0/0', more)] }
    expect(refusal(() => batch({}, pod))).toEqual({ code: 7, message })
  })
})

describe('several problems', () => {
  it('are all found', () => {
    const routes = [
      { dst: '10.50.0.0/16', src: '10.9.9.9' },
      { dst: '10.60.0.0/16' },
      { dst: '10.70.0.0/16', dev: 'x', gw: '10.0.0.1' },
    ]
    const { ops, problems } = planAdd(parseConfig({ routes }), 'eth0', calicoPod())
    expect(problems.map(({ at }) => at)).toEqual(['routes[0].src', 'routes[2].dev'])
    expect(ops).toHaveLength(3)
  })
})

describe('a route that is there already', () => {
  const conf = { defaultRoute: 'keep', routes: [{ dst: '10.50.0.0/16' }] }
  it.each<[string, Partial<Route>, string[]]>([
    ['stays if it is the same', { ...OURS, gw: '169.254.1.1' }, []],
    ["stays another plugin's if it is the same", { dev: 'eth0', gw: '169.254.1.1', protocol: 3 }, []],
    [
      'is replaced if it differs',
      { ...OURS, gw: '169.254.1.1', attributes: { mtu: 1400 } },
      ['route replace 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'],
    ],
    [
      'leaves room beside it with another metric',
      { dev: 'net1', gw: '10.0.1.1', priority: 5 },
      ['route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'],
    ],
    [
      'leaves room beside it in another table',
      { dev: 'net1', gw: '10.0.1.1', table: 100 },
      ['route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'],
    ],
  ])('%s', (_, more, lines) => {
    expect(batch(conf, calicoPod(route(4, '10.50.0.0/16', more)))).toEqual(lines)
  })

  it('takes the packets if it is the first of several in its place; what comes after is left', () => {
    const [wanted, other] = ['169.254.1.1', '10.199.3.9'].map((gw) =>
      route(4, '10.50.0.0/16', { dev: 'eth0', gw }),
    ) as [Route, Route]
    expect(batch(conf, calicoPod(wanted, other))).toEqual([])
    const stale = { ...other, protocol: 142 }
    expect(batch(conf, calicoPod(stale, other))).toEqual([
      'route replace 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
    expect(batch(conf, calicoPod(stale, wanted))).toEqual(['route del 10.50.0.0/16 via 10.199.3.9 dev eth0 proto 142'])
    expect(refusal(() => batch(conf, calicoPod(other, wanted))).message).toMatch(
      /^routes\[0\]: the pod already has another/,
    )
  })

  it.each<[string, Partial<Route>, string]>([
    ['on another interface', { dev: 'net1', gw: '10.0.1.1' }, '10.50.0.0/16 via 10.0.1.1 dev net1 proto 3'],
    ['of another plugin', { dev: 'eth0', gw: '10.199.3.9' }, '10.50.0.0/16 via 10.199.3.9 dev eth0 proto 3'],
    ['that leads nowhere', { type: 6 }, 'blackhole 10.50.0.0/16 proto 3'],
  ])('%s is not taken away', (_, more, text) => {
    expect(refusal(() => batch(conf, calicoPod(route(4, '10.50.0.0/16', more))))).toEqual({
      code: 7,
      message: `routes[0]: the pod already has another route to 10.50.0.0/16: ${text}, where 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 would go; write another "priority"`,
    })
  })
})

describe('the connected route of the NIC', () => {
  it.each<[string, Route]>([
    ['without metric', route(4, '10.50.0.0/16', { dev: 'eth0', protocol: 2, src: '10.199.3.153' })],
    ['with a metric', route(4, '10.50.0.0/16', { dev: 'eth0', protocol: 2, src: '10.199.3.153', priority: 100 })],
    ['of IPv6', route(6, 'fd00:10:50::/48', { dev: 'eth0', protocol: 2, priority: 256 })],
  ])('%s counts as there', (_, connected) => {
    const keep = { defaultRoute: 'keep', routes: [{ dst: connected.dst }] }
    expect(batch(keep, calicoPod(connected))).toEqual([])
    const own = { defaultRoute: 'keep', routes: [{ dst: connected.dst, priority: 7 }] }
    expect(batch(own, calicoPod(connected))).toHaveLength(1)
  })

  it('is found among thousands of others at once', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`)
    const pod = calicoPod(
      ...many.flatMap((dst) => [
        route(4, dst, { dev: 'eth0' }),
        route(4, dst, { dev: 'eth0', gw: dst.replace('.0/24', '.1'), priority: 9 }),
      ]),
    )
    const routes = many.map((dst) => ({ dst }))
    const before = performance.now()
    expect(batch({ defaultRoute: 'keep', routes }, pod)).toEqual([])
    // Quadratic it would be minutes.
    expect(performance.now() - before).toBeLessThan(20_000)
  })
})

describe('with `dev`, on another NIC', () => {
  const conf = { defaultRoute: 'keep', routes: [{ dst: '10.60.0.0/16', dev: 'net1', scope: 'link' }] }
  const there = (more: Partial<Route>) => route(4, '10.60.0.0/16', { dev: 'net1', ...more })

  it("no route of somebody else's is replaced", () => {
    expect(refusal(() => batch(conf, calicoPod(there({ gw: '10.0.1.1' })))).message).toMatch(
      /^routes\[0\]: the pod already has another route/,
    )
  })

  it.each<[string, Partial<Route>, string[]]>([
    ['one just so is left', {}, []],
    ['one of ours is replaced', { gw: '10.0.1.1', protocol: 142 }, ['route replace 10.60.0.0/16 dev net1 proto 142']],
  ])('%s', (_, more, lines) => {
    expect(batch(conf, calicoPod(there(more)))).toEqual(lines)
  })
})

describe('a route for some packets only', () => {
  it.each<[string, Route]>([
    ['type of service', route(4, '10.50.0.0/16', { dev: 'eth0', gw: '169.254.1.1', tos: '0x10' })],
    ['type of service, on another NIC', route(4, '10.50.0.0/16', { dev: 'net1', gw: '10.0.1.1', tos: '0x10' })],
  ])("by %s is in nobody's way", (_, other) => {
    expect(batch({ defaultRoute: 'keep', routes: [{ dst: '10.50.0.0/16' }] }, calicoPod(other))).toEqual([
      'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
  })
})

describe('what the kernel would refuse is found before', () => {
  const pod = calicoPod()
  it.each<[string, number, () => unknown]>([
    ['CNI_IFNAME: the pod has no interface eth9; it has lo, eth0, net1', 4, () => batch({}, pod, 'eth9')],
    [
      'routes[0].dev: the pod has no interface net9; it has lo, eth0, net1',
      7,
      () => batch({ routes: [{ dst: '10.0.0.0/8', dev: 'net9', gw: '10.0.0.1' }] }),
    ],
    [
      'routes[0]: interface eth0 is down; the plugin that made it must set it up',
      7,
      () => batch({ routes: [{ dst: '10.0.0.0/8' }] }, { ...pod, links: [{ ...link('eth0'), up: false }] }),
    ],
    [
      'routes[0].src: 10.199.3.154 is not an address of the pod; its IPv4 addresses are 10.199.3.153, 10.0.1.10',
      7,
      () => batch({ routes: [{ dst: '10.0.0.0/8', src: '10.199.3.154' }] }),
    ],
  ])('%s', (message, code, run) => {
    expect(refusal(run)).toEqual({ code, message })
  })
})

describe('DEL', () => {
  const ours = route(4, '10.50.0.0/16', { ...OURS, gw: '169.254.1.1' })
  const elsewhere = route(4, '10.60.0.0/16', { gw: '10.0.1.1', dev: 'net1', protocol: 142 })
  const lines = (conf: Record<string, unknown>, ...more: Route[]) =>
    planDel(() => parseConfig(conf), 'eth0', calicoPod(...more)).map(batchLine)

  it('takes our routes off the interface, in whatever table, and nothing else', () => {
    const other = route(4, '10.70.0.0/16', { gw: '169.254.1.1', dev: 'eth0' })
    expect(lines({}, ours, { ...ours, table: 100 }, elsewhere, other)).toEqual([
      'route del 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'route del 10.50.0.0/16 via 169.254.1.1 dev eth0 table 100 proto 142',
    ])
  })

  it('takes a route off another interface if the configuration put it there', () => {
    expect(lines({ routes: [{ dst: '10.60.0.0/16', dev: 'net1', gw: '10.0.1.1' }] }, elsewhere)).toEqual([
      'route del 10.60.0.0/16 via 10.0.1.1 dev net1 proto 142',
    ])
  })

  it('finds nothing to do in a pod without our routes', () => {
    expect(lines({})).toEqual([])
  })
})

it('names ten of the interfaces and addresses of a pod, and how many more there are: somebody in it decides that', () => {
  const links = Array.from({ length: 5000 }, (_, i) => link(`net${i}`, `10.1.${i >> 8}.${i & 255}`))
  const pod = { ...calicoPod(), links: [link('eth0', '10.199.3.153'), ...links] }
  const conf = parseConfig({
    routes: [
      { dst: '10.50.0.0/16', dev: 'gone' },
      { dst: '10.60.0.0/16', src: '10.99.0.1' },
    ],
    ovnGateway: { ipv4: '10.0.1.1', dev: 'gone' },
  })
  const { problems } = planAdd(conf, 'eth0', pod)
  expect(problems.map(({ says }) => says)).toEqual([
    expect.stringMatching(/it has eth0, .*, and 4991 more$/),
    expect.stringMatching(/addresses are 10\.199\.3\.153, .*, and 4991 more$/),
    expect.stringMatching(/it has eth0, .*, and 4991 more$/),
  ])
})

it('of ours in an IPv6 place, those without a gateway go by themselves: what replaces a next hop leaves them', () => {
  const place = '::/1'
  const pod = calicoPod(route(6, place, { ...OURS, gw: 'fe80::1' }), route(6, place, OURS))
  const conf = parseConfig({ routes: [{ dst: place, mtu: 1300 }] })
  const after = carryOut(pod, planAdd(conf, 'eth0', pod).ops)
  expect(after.routes.filter(({ dst }) => dst === place)).toHaveLength(1)
  expect(planAdd(conf, 'eth0', after).ops).toEqual([])
})
