import { describe, expect, it } from 'vitest'
import { effectiveConfig } from '../../../src/config/overrides.ts'
import { batchLine } from '../../../src/net/iproute2.ts'
import type { Route, Snapshot } from '../../../src/net/route.ts'
import { differences } from '../../../src/plan/differences.ts'
import type { GatewayAddresses } from '../../../src/plan/gateway.ts'
import { probesOf } from '../../../src/plan/packets.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { presentFamilies } from '../../../src/plan/present-families.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { planRepair } from '../../../src/plan/repair.ts'
import { carryOut } from '../../support/kernel.ts'
import { setsOf } from '../../support/sets.ts'
import { calicoPod, DEFAULT4, DEFAULT6, LINK4, link, route } from '../../support/snapshots.ts'

const SETS = setsOf({ both: '10.60.0.0/16\nfd00:60::/48\nfd00:61::/48\n', six: 'fd00:70::/48\n' })
const configOf = (conf: object) => effectiveConfig({ missingFamily: 'skip', ...conf }, SETS)

/** Calico's eth0 with IPv4, and Kube-OVN's net1 with both families. */
const [FOUR, NET1] = [
  link('eth0', '10.199.3.153', 'fe80::d88f:31ff:fe5c:27e'),
  link('net1', '10.0.1.10', 'fd00:10:0:1::10'),
]
const IPV4: Snapshot = { routes: [DEFAULT4, LINK4], links: [link('lo', '127.0.0.1', '::1'), FOUR, NET1] }
const OVN6 = route(6, '::/0', { gw: 'fd00:10:0:1::1', dev: 'net1' })
const OVN6_NET = route(6, 'fd00:10:0:1::/64', { dev: 'net1', protocol: 2, priority: 256 })
const withRoutes = (pod: Snapshot, ...more: Route[]): Snapshot => ({ ...pod, routes: [...pod.routes, ...more] })
const withIpv6 = (pod: Snapshot): Snapshot => ({
  routes: [...pod.routes, DEFAULT6],
  links: pod.links.map((one) => (one === FOUR ? link('eth0', ...FOUR.addresses, 'fd00:10:199::153') : one)),
})

const adding = (conf: object, pod = IPV4, ifname = 'eth0', gatewayAddresses: GatewayAddresses = {}) => {
  const { ops, problems, warnings } = planAdd(configOf(conf), ifname, pod, { gatewayAddresses })
  return { lines: ops.map(batchLine), problems: problems.map(problemText), warnings }
}

const BOTH = { defaultRoute: 'keep', routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48' }] }
const LINE4 = 'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'
const NO_IPV6 = 'missingFamily: IPv6 is skipped on eth0, which has no IPv6 address: '

describe('routes of a family that the NIC has no address of', () => {
  it('are refused by default, and that names the key', () => {
    const said =
      'routes[1]: no next hop to fd00:10:50::/48 is known on eth0, which has no IPv6 address; assign one by "ipam", or write "missingFamily": "skip"'
    expect(adding({ ...BOTH, missingFamily: 'refuse' })).toMatchObject({ problems: [said], warnings: [] })
    expect(adding({ ...BOTH, missingFamily: undefined })).toMatchObject({ problems: [said], warnings: [] })
  })

  it('are left out, which is said', () => {
    expect(adding(BOTH)).toEqual({ lines: [LINE4], problems: [], warnings: [`${NO_IPV6}routes[1]`] })
  })

  it('are left out whatever else they say', () => {
    const routes = [{ gw: 'fe80::1' }, { scope: 'link' }, { table: 100 }, { src: 'fd00::1' }].map((keys, i) => ({
      dst: `fd00:${i}::/48`,
      ...keys,
    }))
    expect(adding({ ...BOTH, routes })).toEqual({
      lines: [],
      problems: [],
      warnings: [`${NO_IPV6}routes[0], routes[1], routes[2], routes[3]`],
    })
  })

  it('are left out of IPv4 just so', () => {
    const six = { ...calicoPod(), links: [link('eth0', 'fd00:10:199::153')] }
    expect(adding(BOTH, six)).toEqual({
      lines: ['route add fd00:10:50::/48 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024'],
      problems: [],
      warnings: ['missingFamily: IPv4 is skipped on eth0, which has no IPv4 address: routes[0]'],
    })
  })

  it('are those of the NIC that "dev" names', () => {
    const routes = [
      { dst: 'fd00:10:50::/48', dev: 'net1', gw: 'fd00:10:0:1::1' },
      { dst: 'fd00:10:51::/48' },
      { dst: '10.50.0.0/16', dev: 'net2', scope: 'link' },
    ]
    const pod = { routes: [DEFAULT4, LINK4, OVN6_NET], links: [...IPV4.links, link('net2', 'fe80::2')] }
    expect(adding({ ...BOTH, routes }, pod)).toEqual({
      lines: ['route add fd00:10:50::/48 via fd00:10:0:1::1 dev net1 proto 142 metric 1024'],
      problems: [],
      warnings: [`${NO_IPV6}routes[1]`, 'missingFamily: IPv4 is skipped on net2, which has no IPv4 address: routes[2]'],
    })
  })

  it('of a set are named once, with the set', () => {
    const { lines, warnings } = adding({ ...BOTH, routes: [{ set: 'both' }, { set: 'six' }, { dst: 'fd00:1::/48' }] })
    expect(lines).toEqual(['route add 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142'])
    expect(warnings).toEqual([`${NO_IPV6}routes[0] (both), routes[1] (six), routes[2]`])
  })

  it('are listed with a limit', () => {
    const routes = Array.from({ length: 12 }, (_, i) => ({ dst: `fd00:${i}::/48` }))
    const [said = '', ...others] = adding({ ...BOTH, routes }).warnings
    expect(others).toEqual([])
    expect(said.replace(/.*routes\[8\]/, '')).toBe(', routes[9], and 2 more')
  })

  it.each<[string, Snapshot, string]>([
    [
      'is missing',
      { ...IPV4, links: [link('eth0', '10.199.3.153')] },
      'routes[1].dev: the pod has no interface net1; it has eth0',
    ],
    [
      'is down',
      { ...IPV4, links: [FOUR, { ...link('net1'), up: false }] },
      'routes[1].dev: interface net1 is down; the plugin that made it must set it up',
    ],
  ])('are no matter if the NIC %s: that is refused', (_, pod, said) => {
    const routes = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48', dev: 'net1', scope: 'link' }]
    expect(adding({ ...BOTH, routes }, pod).problems).toEqual([said])
  })

  it('are not looked at if nothing is skipped: the configuration stays the object that it is', () => {
    const refuse = effectiveConfig(BOTH, SETS)
    expect(presentFamilies(refuse, 'eth0', IPV4)).toBe(refuse)
    const skip = configOf(BOTH)
    expect(presentFamilies(skip, 'eth0', withIpv6(IPV4))).toBe(skip)
  })

  it('are not probed', () => {
    const probes = probesOf(presentFamilies(configOf(BOTH), 'eth0', IPV4))
    expect(probes.map(({ path }) => path)).toEqual(['routes[0]'])
  })

  it('do not count for KubeVirt, which judges what remains', () => {
    const conf = { routes: [{ dst: '10.50.0.0/16' }], kubevirt: true }
    const six = { routes: [DEFAULT6], links: [link('eth0', 'fd00:10:199::153')] }
    expect(adding(conf, six).problems).toEqual([])
    const bare = { ...IPV4, routes: [DEFAULT4] }
    expect(adding({ routes: BOTH.routes.slice(1), kubevirt: true }, bare).problems).toEqual([
      expect.stringMatching(/^kubevirt: eth0 .*no IPv4 route/),
    ])
  })
})

describe('gateways of a family that the NIC has no address of', () => {
  const NOTHING = 'missingFamily: nothing of ovnGateway is left, so it does nothing'
  const keep = { defaultRoute: 'keep' }
  const named = { ...keep, ovnGateway: { ipv4: '10.199.3.1', ipv6: 'fd00::1', onlink: true, priority: 50 } }

  it('are left out if they are named, and the others are not', () => {
    expect(adding(named)).toEqual({
      lines: ['route add 0.0.0.0/0 via 10.199.3.1 dev eth0 onlink proto 143 metric 50'],
      problems: [],
      warnings: [
        `${NO_IPV6}ovnGateway.ipv6`,
        'the pod keeps another default route, with a lower metric than the one of ovnGateway: 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
      ],
    })
  })

  it.each<[string, object, string]>([
    ['one address', { ...keep, ovnGateway: 'fd00::1' }, 'ovnGateway'],
    ['one family', { ...keep, ovnGateway: { ipv6: 'fd00::1' } }, 'ovnGateway.ipv6'],
    ['one family, to be found', { ...keep, ovnGateway: { ipv6: 'auto' } }, 'ovnGateway.ipv6'],
    ['one family, to be found on the NIC', { ...keep, ovnGateway: { ipv6: 'auto', dev: 'eth0' } }, 'ovnGateway.ipv6'],
  ])('may be all that ovnGateway names, which is said: %s', (_, conf, key) => {
    expect(adding(conf)).toEqual({ lines: [], problems: [], warnings: [`${NO_IPV6}${key}`, NOTHING] })
  })

  it('are told together with routes', () => {
    expect(adding({ ...BOTH, ovnGateway: { ipv6: 'fd00::1' } }).warnings).toEqual([
      `${NO_IPV6}routes[1], ovnGateway.ipv6`,
      NOTHING,
    ])
  })

  it('are those of the NIC that "dev" names', () => {
    const conf = { ...keep, ovnGateway: { ipv6: 'fd00:10:0:1::1', dev: 'net1' } }
    expect(adding(conf, withRoutes(IPV4, OVN6_NET))).toEqual({
      lines: ['route add ::/0 via fd00:10:0:1::1 dev net1 proto 143 metric 1024'],
      problems: [],
      warnings: [],
    })
  })

  it('may be found on another NIC, if "auto" does not say which', () => {
    const demoted = { ...OVN6, protocol: 144, priority: 0xf0000400 }
    const conf = { ...keep, ovnGateway: { ipv6: 'auto' } }
    expect(adding(conf, withRoutes(IPV4, OVN6))).toEqual({ lines: [], problems: [], warnings: [] })
    expect(adding(conf, withRoutes(IPV4, demoted)).lines).toContain(
      'route add ::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
    )
  })

  it('are missed on a NIC that has an address of the family', () => {
    expect(adding({ ...keep, ovnGateway: { ipv4: 'auto' } }, { ...IPV4, routes: [LINK4] }).problems).toEqual([
      expect.stringContaining('ovnGateway: no IPv4 gateway is known'),
    ])
  })

  it('leave "auto" what it is: one of either family is enough, and one is needed', () => {
    const pod = withRoutes(IPV4, route(4, '10.199.3.0/24', { dev: 'eth0', protocol: 2 }))
    expect(adding({ ...keep, ovnGateway: 'auto' }, { ...IPV4, routes: [LINK4] }).problems).toEqual([
      expect.stringContaining('ovnGateway: no IPv4 or IPv6 gateway is known'),
    ])
    // A plugin may report the gateway of a family that is switched off afterwards.
    const reported = { 4: '10.199.3.1', 6: 'fd00::1' }
    const four = { routes: pod.routes.filter((one) => one !== DEFAULT4), links: pod.links }
    expect(adding({ ...keep, ovnGateway: 'auto' }, four, 'eth0', reported)).toEqual({
      lines: ['route add 0.0.0.0/0 via 10.199.3.1 dev eth0 proto 143'],
      problems: [],
      warnings: [],
    })
    expect(adding({ ...keep, ovnGateway: 'auto', missingFamily: 'refuse' }, four, 'eth0', reported).problems).toEqual([
      expect.stringContaining('ovnGateway: fd00::1 is not on-link on eth0'),
    ])
  })
})

describe('a family that comes and goes', () => {
  const conf = { ...BOTH, routes: [...BOTH.routes, { set: 'both' }], ovnGateway: { ipv6: 'fe80::1', priority: 50 } }
  const prev = { interfaces: [{ name: 'eth0' }], ips: [{ address: '10.199.3.153/32' }], routes: [] }
  const config = configOf(conf)
  const wishes = [{ config, ifname: 'eth0', prev }]
  const attached = (pod: Snapshot) => carryOut(pod, planAdd(config, 'eth0', pod).ops)
  const found = (pod: Snapshot) => differences(config, 'eth0', prev, pod)

  it('is missed while it is there, and repair brings it', () => {
    const four = attached(IPV4)
    expect(found(four)).toEqual([])
    expect(planRepair(wishes, four)).toEqual({ ops: [], found: [] })

    const six = withIpv6(four)
    expect(found(six)).toEqual(
      ['routes[1]: missing: fd00:10:50::/48', 'routes[2] (both:2): missing', 'routes[2] (both:3): missing']
        .concat('ovnGateway: missing: ::/0 via fe80::1')
        .map((said) => expect.stringContaining(said)),
    )
    const repaired = carryOut(six, planRepair(wishes, six).ops)
    expect(found(repaired)).toEqual([])
    expect(planRepair(wishes, repaired)).toEqual({ ops: [], found: [] })

    // The kernel removes the routes with the family, or keeps them if only the address goes.
    const all = { routes: repaired.routes.filter(({ family }) => family === 4), links: IPV4.links }
    const address = { ...repaired, links: IPV4.links }
    for (const pod of [all, address]) {
      expect(found(pod)).toEqual([])
      expect(planRepair(wishes, pod)).toEqual({ ops: [], found: [] })
    }
    // But what is no more asked for at all is surplus.
    const other = [
      { config: configOf({ defaultRoute: 'keep', routes: [{ dst: '10.50.0.0/16' }] }), ifname: 'eth0', prev },
    ]
    expect(planRepair(other, address).found.filter((one) => one.includes('fd00:'))).toHaveLength(3)
  })

  it('may leave a route in the table of sourceRouting, which stays', () => {
    const routes = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48', table: 142, gw: 'fe80::1' }]
    const sourced = configOf({ defaultRoute: 'keep', routes, sourceRouting: { table: 142 } })
    const pod = withIpv6(IPV4)
    const six = planAdd(sourced, 'eth0', pod).routes.map(({ route: one }) => one)
    expect(six.map(({ dst }) => dst)).toEqual(['10.50.0.0/16', 'fd00:10:50::/48'])
    const left = withRoutes(IPV4, ...six)
    expect(differences(sourced, 'eth0', prev, left).filter((said) => said.includes('fd00:'))).toEqual([])
  })

  it('has no default route brought back that "demote" was to keep', () => {
    const lender = configOf({ defaultRoute: 'demote' })
    const told = { ...prev, routes: [{ dst: '::/0', gw: 'fe80::1' }] }
    const lost = { routes: [LINK4], links: IPV4.links }
    expect(differences(lender, 'eth0', told, lost)).toEqual([])
    expect(differences(lender, 'eth0', told, { ...lost, links: withIpv6(IPV4).links })).toHaveLength(1)
  })
})
