import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Config, parseConfig } from '../../../src/config/config.ts'
import { isWithin } from '../../../src/net/address.ts'
import { commandText, routeText } from '../../../src/net/iproute2.ts'
import { parseRules } from '../../../src/net/iproute2-rules.ts'
import type { Link } from '../../../src/net/link.ts'
import { MAIN_TABLE, type Op, type Route, routeOpsIn, type Snapshot } from '../../../src/net/route.ts'
import { isOurRule, type Rule, ruleText } from '../../../src/net/rule.ts'
import { opsBetween } from '../../../src/plan/between.ts'
import { afterwards, planRestore, unmet, unmetText } from '../../../src/plan/effects.ts'
import { tableOf } from '../../../src/plan/nic-table.ts'
import { planAdd, planDel, type Reported } from '../../../src/plan/plan.ts'
import { mayHaveLeftRules6, mayHaveRules6, removeRules, rules6For } from '../../../src/plan/source-rules.ts'
import { surplusRules } from '../../../src/plan/surplus.ts'
import { carryOut } from '../../support/kernel.ts'
import { calicoPod, DEFAULT4, DEFAULT6, LINK4, link, route } from '../../support/snapshots.ts'

const ETH0 = 1_459_691_812
const CALICO4 = 'via 169.254.1.1 dev eth0'
const CALICO6 = 'via fe80::ecee:eeff:feee:eeee dev eth0'

const on = (more: object = {}): Config => parseConfig({ sourceRouting: true, ...more })
/** With the table's number in words, for readable expectations. */
const lines = (ops: readonly Op[], table = ETH0) => ops.map((op) => commandText(op).replace(String(table), 'N'))

function added(config: Config, pod: Snapshot, { ifname = 'eth0', ...reported }: Reported & { ifname?: string } = {}) {
  const { ops, problems } = planAdd(config, ifname, pod, reported)
  const table = tableOf(ifname, config.sourceRouting)
  return {
    lines: lines(ops, table),
    problems: problems.map(({ at, says }) => `${at}: ${says}`),
    after: carryOut(pod, ops),
  }
}

/** Only what comes of `sourceRouting`. */
const ofTable = (all: readonly string[]) => all.filter((line) => / table N/.test(line))

const rule = (from: string, more: Partial<Rule> = {}): Rule => ({
  family: from.includes(':') ? 6 : 4,
  priority: 14200,
  from,
  table: ETH0,
  protocol: 142,
  ...more,
})

const podOf = (eth0: Link, ...routes: Route[]): Snapshot => ({ routes, links: [link('lo'), eth0], rules: [] })

describe('the table of a NIC', () => {
  it.each([
    ['eth0', 1_459_691_812],
    ['net1', 1_499_490_891],
  ])('of the name %s is always %d: pods that run have it', (name, number) => {
    expect(tableOf(name)).toBe(number)
  })

  it('is between 1420000000 and 1519999999, and another for each name', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `net${i}`)
    const numbers = names.map((name) => tableOf(name))
    expect(new Set(numbers).size).toBeGreaterThan(names.length - 10)
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(1_420_000_000)
    expect(Math.max(...numbers)).toBeLessThan(1_520_000_000)
  })

  it('is decided by all 15 bytes of a name, also where they are not ASCII', () => {
    const names = ['abcdefghijklmno', 'abcdefghijklmnp', 'bbcdefghijklmno', 'ééééééé1', 'ééééééé2']
    expect(new Set(names.map((name) => tableOf(name))).size).toBe(names.length)
  })

  it('is the configured one, if there is one', () => {
    expect(tableOf('eth0', { table: 100 })).toBe(100)
  })
})

describe('ADD with sourceRouting', () => {
  it('makes a default route and a rule for each family, the rules before the default routes go', () => {
    expect(added(on(), calicoPod())).toMatchObject({
      problems: [],
      lines: [
        `route add 0.0.0.0/0 ${CALICO4} table N proto 142`,
        `route add ::/0 ${CALICO6} table N proto 142 metric 1024`,
        'rule add from 10.199.3.153/32 table N priority 14200 protocol 142',
        '-6 rule add from fd00:10:199::153/128 table N priority 14200 protocol 142',
        `route del 0.0.0.0/0 ${CALICO4} proto 3`,
        `route del ::/0 ${CALICO6} proto 3 metric 1024`,
      ],
    })
  })

  it('makes a rule for each address that stays, and none for others', () => {
    const eth0: Link = {
      ...link('eth0', '10.0.0.1', '10.0.0.2', 'fe80::1', 'fd00::1', 'fd00::2'),
      passing: ['10.0.0.2', 'fd00::2'],
    }
    const { lines: all } = added(on(), podOf(eth0, DEFAULT4, LINK4, DEFAULT6))
    expect(all.filter((line) => line.includes('rule'))).toEqual([
      'rule add from 10.0.0.1/32 table N priority 14200 protocol 142',
      '-6 rule add from fd00::1/128 table N priority 14200 protocol 142',
    ])
  })

  it('makes nothing of a family in which all addresses pass', () => {
    const eth0: Link = { ...link('eth0', '10.0.0.1', 'fe80::1', 'fd00::2'), passing: ['fd00::2'] }
    const { lines: all, problems } = added(on(), podOf(eth0, DEFAULT4, LINK4, DEFAULT6))
    expect(problems).toEqual([])
    expect(ofTable(all).filter((line) => line.includes(':'))).toEqual([])
  })

  it('uses the numbers of the configuration', () => {
    const { lines: all } = added(on({ sourceRouting: { table: 100, priority: 7 } }), calicoPod())
    expect(all.filter((line) => line.includes('rule'))).toEqual([
      'rule add from 10.199.3.153/32 table N priority 7 protocol 142',
      '-6 rule add from fd00:10:199::153/128 table N priority 7 protocol 142',
    ])
  })

  it('finds nothing to do a second time, also when the default routes of the main table are gone', () => {
    expect(added(on(), added(on(), calicoPod()).after)).toMatchObject({ lines: [], problems: [] })
  })

  it('asks for rules of guests as well with kubevirt, by the bridge of the masquerade binding', () => {
    const { lines: all } = added(on({ kubevirt: true, routes: [{ dst: '10.50.0.0/16' }] }), calicoPod())
    expect(all.filter((line) => line.includes('k6t-eth0'))).toEqual([
      'rule add from 10.0.2.0/24 iif k6t-eth0 table N priority 14200 protocol 142',
      '-6 rule add from fd10:0:2::/120 iif k6t-eth0 table N priority 14200 protocol 142',
    ])
  })
})

describe('the next hop of the table', () => {
  const eth0 = link('eth0', '10.0.0.1')

  it('is that of the default route, with its attributes', () => {
    const pod = podOf(eth0, { ...DEFAULT4, attributes: { mtu: 1400 } }, LINK4)
    expect(added(on(), pod).lines[0]).toBe(`route add 0.0.0.0/0 ${CALICO4} table N proto 142 mtu 1400`)
  })

  it('is that of the table itself, once the default route is gone', () => {
    const own = { ...route(4, '0.0.0.0/0', { gw: '10.0.0.254', dev: 'eth0', table: ETH0 }), protocol: 142 }
    const pod = { ...podOf(eth0, own), rules: [rule('10.0.0.1/32')] }
    expect(added(on({ defaultRoute: 'keep' }), pod)).toMatchObject({ lines: [], problems: [] })
  })

  it('is the gateway that the previous plugin reported, if no route tells', () => {
    expect(added(on(), podOf(eth0), { gatewayAddresses: { 4: '10.0.0.254' } }).lines).toEqual([
      'route add 0.0.0.0/0 via 10.0.0.254 dev eth0 table N proto 142',
      'rule add from 10.0.0.1/32 table N priority 14200 protocol 142',
    ])
  })

  it('is rather that of a route than the reported gateway', () => {
    const { lines: all } = added(on(), podOf(eth0, DEFAULT4, LINK4), { gatewayAddresses: { 4: '10.0.0.254' } })
    expect(all[0]).toBe(`route add 0.0.0.0/0 ${CALICO4} table N proto 142`)
  })

  it('is asked for, if nobody tells', () => {
    expect(added(on(), podOf(link('eth0', '10.0.0.1', 'fd00::1'))).problems).toEqual([
      `sourceRouting: no IPv4 next hop is known on eth0, which has no IPv4 default route; add {"dst": "0.0.0.0/0", "table": ${ETH0}} with "gw", or with "scope": "link", to "routes"`,
      `sourceRouting: no IPv6 next hop is known on eth0, which has no IPv6 default route; add {"dst": "::/0", "table": ${ETH0}} with "gw", or with "scope": "link", to "routes"`,
    ])
  })

  it('is that of an entry for it in routes, as the message says', () => {
    const config = on({ routes: [{ dst: '0.0.0.0/0', table: ETH0, gw: '10.0.0.9' }] })
    expect(added(config, podOf(eth0))).toMatchObject({
      problems: [],
      lines: [
        'route add 0.0.0.0/0 via 10.0.0.9 dev eth0 table N proto 142',
        'rule add from 10.0.0.1/32 table N priority 14200 protocol 142',
      ],
    })
  })
})

describe('the other routes of the table', () => {
  const network = route(4, '10.0.0.0/24', { dev: 'eth0', protocol: 2 })
  const eth0 = link('eth0', '10.0.0.1')
  const way = route(4, '0.0.0.0/0', { gw: '10.0.0.254', dev: 'eth0' })
  const tableWith = (routes: object[], ...more: Route[]) =>
    ofTable(added(on({ routes }), podOf(eth0, network, way, ...more)).lines).filter(
      (line) => !line.includes('0.0.0.0/0') && !line.includes('rule'),
    )

  it.each([
    { what: 'the connected ones', routes: [], expected: ['route add 10.0.0.0/24 dev eth0 table N proto 142'] },
    {
      what: 'none that leads where the default route does',
      routes: [{ dst: '10.50.0.0/16' }],
      expected: ['route add 10.0.0.0/24 dev eth0 table N proto 142'],
    },
    {
      what: 'one with another next hop',
      routes: [{ dst: '10.50.0.0/16', gw: '10.0.0.7' }],
      expected: [
        'route add 10.50.0.0/16 via 10.0.0.7 dev eth0 table N proto 142',
        'route add 10.0.0.0/24 dev eth0 table N proto 142',
      ],
    },
    {
      what: 'one with attributes',
      routes: [{ dst: '10.50.0.0/16', mtu: 1300 }],
      expected: [
        'route add 10.50.0.0/16 via 10.0.0.254 dev eth0 table N proto 142 mtu 1300',
        'route add 10.0.0.0/24 dev eth0 table N proto 142',
      ],
    },
    {
      what: 'one inside of another that has a next hop of its own',
      routes: [{ dst: '10.48.0.0/12', gw: '10.0.0.7' }, { dst: '10.50.0.0/16' }],
      expected: [
        'route add 10.48.0.0/12 via 10.0.0.7 dev eth0 table N proto 142',
        'route add 10.50.0.0/16 via 10.0.0.254 dev eth0 table N proto 142',
        'route add 10.0.0.0/24 dev eth0 table N proto 142',
      ],
    },
    {
      what: 'one inside of a connected one',
      routes: [{ dst: '10.0.0.128/25' }],
      expected: [
        'route add 10.0.0.128/25 via 10.0.0.254 dev eth0 table N proto 142',
        'route add 10.0.0.0/24 dev eth0 table N proto 142',
      ],
    },
    {
      what: 'what routes has in the table, once',
      routes: [{ dst: '10.50.0.0/16', gw: '10.0.0.7', table: ETH0 }],
      expected: [
        'route add 10.50.0.0/16 via 10.0.0.7 dev eth0 table N proto 142',
        'route add 10.0.0.0/24 dev eth0 table N proto 142',
      ],
    },
    {
      what: 'one inside of what routes has in the table',
      routes: [{ dst: '10.48.0.0/12', gw: '10.0.0.7', table: ETH0 }, { dst: '10.50.0.0/16' }],
      expected: [
        'route add 10.48.0.0/12 via 10.0.0.7 dev eth0 table N proto 142',
        'route add 10.50.0.0/16 via 10.0.0.254 dev eth0 table N proto 142',
        'route add 10.0.0.0/24 dev eth0 table N proto 142',
      ],
    },
    {
      what: 'none on another NIC',
      routes: [],
      more: [route(4, '10.0.9.0/24', { dev: 'net1', protocol: 2 })],
      expected: ['route add 10.0.0.0/24 dev eth0 table N proto 142'],
    },
    {
      what: 'no connected one that others made, that expires, or that leads elsewhere',
      routes: [],
      more: [
        route(4, '10.9.0.0/24', { dev: 'eth0', protocol: 3 }),
        route(4, '10.9.1.0/24', { dev: 'eth0', protocol: 2, expires: 30 }),
        route(4, '10.9.2.0/24', { dev: 'eth0', protocol: 2, gw: '10.0.0.7' }),
        route(4, '10.9.3.0/24', { dev: 'eth0', protocol: 2, table: 255 }),
        route(4, '10.9.4.0/24', { dev: 'eth0', protocol: 2, type: 6 }),
      ],
      expected: ['route add 10.0.0.0/24 dev eth0 table N proto 142'],
    },
  ])('are $what', ({ routes, more = [], expected }) => {
    expect(tableWith(routes, ...more)).toEqual(expected)
  })

  it('are not the kernel’s route to an IPv6 address of its own', () => {
    const own = route(6, 'fd00::1/128', { dev: 'eth0', protocol: 2, priority: 256 })
    const pod = podOf(link('eth0', 'fd00::1'), own, DEFAULT6)
    expect(ofTable(added(on(), pod).lines).map((line) => line.split(' ')[2])).toEqual(['::/0', 'add'])
  })

  it('go when they are not asked for any more, and the pod comes to what a fresh ADD makes of it', () => {
    const before = added(on({ routes: [{ dst: '10.50.0.0/16', gw: '10.0.0.7' }] }), podOf(eth0, network, way)).after
    const { lines: all, after } = added(on(), { ...before, links: [link('lo'), link('eth0', '10.0.0.2')] })
    expect(ofTable(all)).toEqual([
      'rule add from 10.0.0.2/32 table N priority 14200 protocol 142',
      'route del 10.50.0.0/16 via 10.0.0.7 dev eth0 table N proto 142',
      'rule del from 10.0.0.1/32 table N priority 14200 protocol 142',
    ])
    expect(planAdd(on(), 'eth0', after)).toMatchObject({ ops: [], problems: [] })
  })
})

describe('a table in use', () => {
  const foreign = route(4, '10.9.0.0/16', { gw: '10.0.0.7', dev: 'eth0', table: 100 })
  const config = on({ sourceRouting: { table: 100 } })
  const problems = (...more: Parameters<typeof calicoPod>) => added(config, calicoPod(...more)).problems
  const IN_USE = 'sourceRouting: table 100 is in use: it'
  const ADVICE = 'write another number, such as "sourceRouting": {"table": 101}'

  it('by a route of somebody else is refused', () => {
    expect(problems(foreign)).toEqual([`${IN_USE} has ${routeText(foreign)}; ${ADVICE}`])
  })

  it('by a route of ours on another NIC is refused', () => {
    const other = { ...foreign, dev: 'net1', protocol: 142 }
    expect(problems(other)).toEqual([`${IN_USE} has ${routeText(other)}; ${ADVICE}`])
  })

  it('by a rule of somebody else alone is refused; with our routes in it, they lead more packets there', () => {
    const theirs = rule('10.7.0.0/16', { table: 100, protocol: 3, priority: 5 })
    const pod = { ...calicoPod(), rules: [theirs] }
    expect(added(config, pod).problems).toEqual([`${IN_USE} is that of ${ruleText(theirs)}; ${ADVICE}`])
    const { after } = added(config, calicoPod())
    const led = { ...after, rules: [theirs, ...(after.rules ?? [])] }
    expect(added(config, led)).toMatchObject({ problems: [], lines: [], after: { rules: led.rules } })
  })

  it('by a rule of ours is not', () => {
    const pod = { ...calicoPod(), rules: [rule('10.199.3.153/32', { table: 100 })] }
    expect(added(config, pod).problems).toEqual([])
  })

  it('by what routes puts there on another NIC is not, however often ADD is called', () => {
    const both = on({
      sourceRouting: { table: 100 },
      routes: [{ dst: '10.60.0.0/16', gw: '10.0.1.1', dev: 'net1', table: 100 }],
    })
    const { after, problems: none } = added(both, calicoPod())
    expect(none).toEqual([])
    expect(added(both, after)).toMatchObject({ problems: [], lines: [] })
  })
})

describe('DEL', () => {
  const after = added(on(), calicoPod()).after
  const del = (pod: Snapshot, config: Config = on(), ifname = 'eth0') =>
    lines(planDel(() => config, ifname, pod)).filter((line) => line.includes('rule'))
  const OURS = [
    'rule del from 10.199.3.153/32 table N priority 14200 protocol 142',
    '-6 rule del from fd00:10:199::153/128 table N priority 14200 protocol 142',
  ]

  it('removes all rules of ours to the table of the NIC', () => {
    expect(del(after)).toEqual(OURS)
    expect(carryOut(after, planDel(on, 'eth0', after)).rules).toEqual([])
  })

  it('removes them although the NIC is gone', () => {
    expect(del({ routes: [], links: [], rules: after.rules ?? [] })).toEqual(OURS)
  })

  it('removes those to the configured table, and to one that has routes of ours on the NIC', () => {
    const pod = added(on({ sourceRouting: { table: 100 } }), calicoPod()).after
    expect(del(pod, on({ sourceRouting: { table: 100 } }))).toHaveLength(2)
    expect(del(pod, on())).toHaveLength(2)
    expect(del({ ...pod, routes: [] }, on({ sourceRouting: { table: 100 } }))).toHaveLength(2)
  })

  it('leaves those of others, of other NICs, and what it did not ask for', () => {
    const theirs = [
      rule('10.199.3.153/32', { protocol: 3 }),
      rule('10.199.3.153/32', { more: true }),
      rule('10.0.1.10/32', { table: tableOf('net1') }),
    ]
    expect(del({ ...after, rules: theirs })).toEqual([])
    const { rules: _, ...unasked } = after
    expect(del(unasked)).toEqual([])
  })

  it('leaves the rules of another NIC in whose table it has a route', () => {
    const inTable = { table: 100, protocol: 142 }
    const pod: Snapshot = {
      ...calicoPod(
        route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1', ...inTable }),
        route(4, '10.60.0.0/16', { gw: '169.254.1.1', dev: 'eth0', ...inTable }),
      ),
      rules: [rule('10.0.1.10/32', { table: 100 })],
    }
    expect(removeRules('eth0', [], pod, { key: 'DEL', path: 'DEL' })).toEqual([])
    expect(removeRules('net1', [100], pod, { key: 'DEL', path: 'DEL' })).toHaveLength(1)
  })
})

describe('which rules matter', () => {
  const V6 = route(6, 'fd00::/64', { dev: 'eth0' })

  it('those of IPv6 do if the NIC has an address that stays, and with sourceRouting only', () => {
    const seen = (eth0: Link) => rules6For(on(), 'eth0')?.(podOf(eth0))
    expect(seen(link('eth0', '10.0.0.1', 'fe80::1'))).toBe(false)
    expect(seen({ ...link('eth0', 'fd00::1'), passing: ['fd00::1'] })).toBe(false)
    expect(seen(link('eth0', 'fd00::1'))).toBe(true)
    expect(rules6For(on(), 'net1')?.(podOf(link('eth0', 'fd00::1')))).toBe(false)
    expect(rules6For(parseConfig({}), 'eth0')).toBeUndefined()
  })

  it('without any IPv6 route but those of lo there are none', () => {
    expect(mayHaveRules6({ routes: [V6] })).toBe(true)
    expect(mayHaveRules6({ routes: [{ ...V6, dev: 'lo' }, DEFAULT4] })).toBe(false)
    expect(mayHaveRules6({ routes: [], leftOut: 1 })).toBe(true)
  })

  it('those of a NIC that is gone are still there', () => {
    const mayHaveLeft = mayHaveLeftRules6('eth0')
    expect(mayHaveLeft(podOf(link('eth0')))).toBe(true)
    expect(mayHaveLeft(podOf(link('eth0'), DEFAULT4))).toBe(false)
    expect(mayHaveLeft(podOf(link('eth0'), DEFAULT4, V6))).toBe(true)
  })
})

describe('rules that no attachment asks for', () => {
  const wish = (ifname: string, config: Config) => ({ ifname, config, prev: {} })
  const pod = { ...calicoPod(), rules: [rule('10.199.3.153/32'), rule('10.0.1.10/32', { table: tableOf('net1') })] }

  it('are surplus if they lead to a table of a NIC that has attachments', () => {
    const surplus = (...wishes: ReturnType<typeof wish>[]) =>
      surplusRules(wishes, new Set(wishes.map(({ ifname }) => ifname)), pod).map(({ rule: { from } }) => from)
    expect(surplus(wish('eth0', on()))).toEqual([])
    expect(surplus(wish('eth0', parseConfig({})))).toEqual(['10.199.3.153/32'])
    expect(surplus(wish('eth0', on()), wish('net1', parseConfig({})))).toEqual(['10.0.1.10/32'])
    expect(surplus(wish('eth0', on({ sourceRouting: { table: 100 } })))).toEqual(['10.199.3.153/32'])
  })
})

describe('what ip(8) prints of rules', () => {
  // `ip -json -Numeric -details rule show`, iproute2 6.1
  const parsed = (printed: object[], family: 4 | 6 = 4) => parseRules(JSON.stringify(printed), family)

  it('is read as it would be written', () => {
    expect(
      parsed([
        { priority: 0, src: 'all', table: '255', protocol: '2' },
        { priority: 14200, src: '10.199.3.153', table: String(ETH0), protocol: '142' },
        {
          ...{ priority: 14200, src: '10.0.2.0', srclen: 24, iif: 'k6t-eth0', iif_detached: null },
          ...{ table: String(ETH0), protocol: '142' },
        },
      ]),
    ).toEqual([
      rule('0.0.0.0/0', { priority: 0, table: 255, protocol: 2 }),
      rule('10.199.3.153/32'),
      rule('10.0.2.0/24', { iif: 'k6t-eth0' }),
    ])
    expect(parsed([{ priority: 5, src: 'all', table: '9' }], 6)).toEqual([
      { family: 6, priority: 5, from: '::/0', table: 9, protocol: 3 },
    ])
    expect(parsed([{ priority: 14200, src: 'fd00::1', table: String(ETH0), protocol: '142' }], 6)).toEqual([
      rule('fd00::1/128'),
    ])
  })

  it.each([
    { not: null },
    { dst: '10.1.0.0', dstlen: 16 },
    { tos: '0x10' },
    { fwmark: '0x1', fwmask: '0x3' },
    { oif: 'eth8', oif_detached: null },
    { uid_start: 0, uid_end: 5 },
    { ipproto: 'tcp', sport: 80, dport_start: 1, dport_end: 9 },
    { tun_id: 5 },
    { flow_to: '5' },
    { suppress_prefixlen: 1 },
  ])('is not ours with more selectors or actions: %j', (more) => {
    const [one] = parsed([{ priority: 14200, src: '10.0.0.1', table: String(ETH0), protocol: '142', ...more }])
    expect(one).toEqual(rule('10.0.0.1/32', { more: true }))
    expect(isOurRule(one as Rule)).toBe(false)
  })

  it('is not ours with the name of an interface that no batch can have', () => {
    const printed = { priority: 14200, src: '10.0.0.1', table: String(ETH0), protocol: '142' }
    for (const iif of ['a"b', "a'b", 'a#b', 'a\\b'])
      expect(parsed([{ ...printed, iif }]).filter(isOurRule), iif).toEqual([])
  })

  it('does not matter if it leads to no table', () => {
    expect(
      parsed([
        { priority: 96, src: '10.0.0.7', action: '6', protocol: '0' },
        { priority: 97, src: '10.0.0.7', goto: 32766, protocol: '0' },
      ]),
    ).toEqual([])
  })

  it('may be half an answer, which is not JSON', () => {
    expect(() => parseRules('[{"priority":0', 4)).toThrow(SyntaxError)
  })
})

describe('operations on rules', () => {
  const before = calicoPod()
  const { ops } = planAdd(on(), 'eth0', before)
  const after = carryOut(before, ops)
  const origin = { key: 'routes', path: 'sourceRouting' } as const
  const del = (one: Rule): Op => ({ op: 'del', rule: one, origin })

  it('are foreseen', () => {
    expect(afterwards(before, ops).rules).toEqual(after.rules)
    expect(afterwards(after, [del(rule('10.199.3.153/32'))]).rules).toEqual([rule('fd00:10:199::153/128')])
  })

  it('are rolled back from any point, and what others changed stays', () => {
    const theirs = rule('10.7.0.0/16', { protocol: 3, table: 9 })
    for (let done = 0; done <= ops.length; done++) {
      const now = carryOut(before, ops.slice(0, done))
      const led = { ...now, rules: [theirs, ...(now.rules ?? [])] }
      const back = carryOut(led, planRestore(before, led, ops))
      expect(back.rules, `${done}`).toEqual([theirs])
    }
  })

  it('that removed a rule are rolled back, once each', () => {
    const twice = [del(rule('10.199.3.153/32')), del(rule('10.199.3.153/32'))]
    const gone = { ...after, rules: [rule('fd00:10:199::153/128')] }
    expect(planRestore(after, gone, twice).map(commandText)).toEqual([
      `rule add from 10.199.3.153/32 table ${ETH0} priority 14200 protocol 142`,
    ])
  })

  it('are told as missing, or still there', () => {
    expect(unmet(ops, after)).toEqual([])
    const spoilt = { ...after, rules: [rule('fd00:10:199::153/128')] }
    expect(unmet(ops, spoilt).map(unmetText)).toEqual([
      `sourceRouting: missing: rule from 10.199.3.153/32 table ${ETH0} priority 14200 protocol 142`,
    ])
    expect(unmet([del(rule('fd00:10:199::153/128'))], spoilt).map(unmetText)).toEqual([
      `sourceRouting: still there: rule from fd00:10:199::153/128 table ${ETH0} priority 14200 protocol 142`,
    ])
  })

  it('come after additions and before deletions, where repair puts them together', () => {
    const kinds = (all: readonly Op[]) => all.map((op) => `${'rule' in op ? 'rule ' : ''}${op.op}`)
    expect(kinds(opsBetween(before, after, ops))).toEqual(['add', 'add', 'rule add', 'rule add', 'del', 'del'])
    const undone = [...ops, del(rule('10.199.3.153/32')), del(rule('fd00:10:199::153/128'))]
    expect(kinds(opsBetween(before, { ...after, rules: [] }, undone))).toEqual(['add', 'add', 'del', 'del'])
  })
})

const PREFIXES = ['10.0.0.0/8', '10.48.0.0/12', '10.50.0.0/16', '10.50.3.0/24', '10.0.1.0/24', '10.0.1.128/25']
const PREFIXES6 = ['fd00::/16', 'fd00:10::/32', 'fd00:10:50::/48', 'fd00:10:0:1::/64', 'fd00:10:0:1:8000::/65']
const GATEWAYS = { 4: ['10.0.1.1', '10.0.1.2'], 6: ['fd00:10:0:1::1', 'fe80::2'] } as const

const entry = fc.constantFrom(4 as const, 6 as const).chain((of) =>
  fc
    .record({
      dst: fc.constantFrom(...(of === 4 ? [...PREFIXES, '0.0.0.0/0'] : [...PREFIXES6, '::/0'])),
      hop: fc.constantFrom<'gw' | 'link' | 'learnt'>('gw', 'link', 'learnt', 'learnt'),
      gw: fc.constantFrom(...GATEWAYS[of]),
      mtu: fc.constantFrom(undefined, undefined, undefined, 1300),
      priority: fc.constantFrom(undefined, undefined, undefined, 50, 2000),
      table: fc.constantFrom(undefined, undefined, 77),
    })
    .map(({ hop, gw, dst, ...more }) => ({
      dst,
      ...(hop === 'gw' ? { gw } : hop === 'link' ? { scope: 'link' } : {}),
      ...(dst.endsWith('/0') && more.table === undefined ? { ...more, table: 77 } : more),
    })),
)

const config = fc.uniqueArray(entry, {
  maxLength: 5,
  selector: (one) => JSON.stringify([one.dst, one.priority, one.table]),
})
const kernelRoutes = fc.record({
  defaults: fc.subarray([
    route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'eth0' }),
    route(6, '::/0', { gw: 'fd00:10:0:1::1', dev: 'eth0', attributes: { mtu: 1400 } }),
  ]),
  connected: fc.subarray([
    route(4, '10.0.1.0/24', { dev: 'eth0', protocol: 2 }),
    route(4, '10.50.0.0/16', { dev: 'eth0', protocol: 2, priority: 100 }),
    route(6, 'fd00:10:0:1::/64', { dev: 'eth0', protocol: 2, priority: 256 }),
    route(6, 'fe80::/64', { dev: 'eth0', protocol: 2, priority: 256 }),
  ]),
})

/** The route that the kernel would choose. */
function chosen(routes: readonly Route[], address: string): string | undefined {
  const length = ({ dst }: Route) => Number(dst.slice(dst.indexOf('/') + 1))
  const [best] = routes
    .filter(({ dst }) => isWithin(address, dst))
    .sort((a, b) => length(b) - length(a) || a.priority - b.priority)
  return best && JSON.stringify([best.gw, best.dev, best.onlink ?? false, best.attributes ?? {}])
}

const ADDRESSES = ['10.50.3.1', '10.50.9.1', '10.49.0.1', '10.0.1.9', '10.0.1.200', '10.1.0.1', '192.0.2.1']
const ADDRESSES6 = [
  'fd00:10:50::1',
  'fd00:10:0:1::9',
  'fd00:10:0:1:8000::1',
  'fd00:10:1::1',
  'fd00:99::1',
  '2001:db8::1',
]

describe('whatever the configuration and the pod', () => {
  it('a packet in the table takes the route that the NIC’s own routes, and then the default route, would have it take', () => {
    let planned = 0
    fc.assert(
      fc.property(config, kernelRoutes, (routes, { defaults, connected }) => {
        const conf = on({ sourceRouting: { table: 77 }, routes })
        const pod = podOf(link('eth0', '10.0.1.10', 'fd00:10:0:1::10'), ...connected, ...defaults)
        const {
          ops,
          problems,
          routes: applied,
        } = planAdd(conf, 'eth0', pod, {
          gatewayAddresses: { 4: '10.0.1.2', 6: 'fe80::2' },
        })
        if (problems.length > 0) return
        planned++
        const { routes: now } = carryOut(pod, ops)
        const inTable = now.filter(({ table }) => table === 77)
        const written = new Set(
          conf.routes.filter(({ table }) => table === 77).map(({ dst, priority }) => `${dst} ${priority}`),
        )
        // What the NIC itself has, what is written for the table, and the default routes.
        const ofMain = [
          ...applied.map(({ route: one }) => one).filter(({ table }) => table === MAIN_TABLE),
          ...connected,
        ]
        const own = [
          ...ofMain.filter(({ dst, priority }) => !written.has(`${dst} ${priority}`)),
          ...inTable.filter(({ dst, priority }) => dst.endsWith('/0') || written.has(`${dst} ${priority}`)),
        ]
        for (const address of [...ADDRESSES, ...ADDRESSES6])
          expect(chosen(inTable, address), address).toBe(chosen(own, address))
        expect(routeOpsIn(ops).every(({ route: { dev } }) => dev === 'eth0')).toBe(true)
        expect(planAdd(conf, 'eth0', carryOut(pod, ops))).toMatchObject({ ops: [], problems: [] })
      }),
      { numRuns: 3000 },
    )
    expect(planned).toBeGreaterThan(500)
  })
})
