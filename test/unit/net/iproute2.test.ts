import { describe, expect, it } from 'vitest'
import { batchLine, parseRoutes, routeText } from '../../../src/net/iproute2.ts'
import { parseLinks } from '../../../src/net/iproute2-links.ts'
import { parseRules } from '../../../src/net/iproute2-rules.ts'
import type { Route } from '../../../src/net/route.ts'
import { DEFAULT4, DEFAULT6, LINK4, route } from '../../support/snapshots.ts'

// Answers of iproute2 6.1, `ip -json -Numeric -details`, in a pod that Calico wired.
const ANSWER = JSON.stringify([
  { type: '1', dst: 'default', gateway: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '0', flags: [] },
  { type: '1', dst: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '253', flags: ['linkdown'] },
  {
    type: '2',
    dst: '10.199.3.153',
    dev: 'eth0',
    table: '255',
    protocol: '2',
    scope: '254',
    prefsrc: '10.199.3.153',
    flags: [],
  },
  {
    type: '1',
    dst: 'default',
    gateway: 'fe80::ecee:eeff:feee:eeee',
    dev: 'eth0',
    protocol: '3',
    scope: '0',
    metric: 1024,
    flags: [],
    pref: 'medium',
  },
])

describe('an answer to route show', () => {
  it('gives every route with its prefix length, family and numbers', () => {
    expect(parseRoutes(ANSWER)).toEqual([
      DEFAULT4,
      LINK4,
      route(4, '10.199.3.153/32', { type: 2, dev: 'eth0', table: 255, protocol: 2, scope: 254, src: '10.199.3.153' }),
      DEFAULT6,
    ])
  })

  it('tells an IPv6 default without gateway from an IPv4 one by its router preference', () => {
    const answer = JSON.stringify([
      { dst: 'default', dev: 'eth0', scope: '253', flags: [] },
      { dst: 'default', dev: 'eth0', metric: 1024, flags: [], pref: 'medium' },
    ])
    expect(parseRoutes(answer)).toEqual([route(4, '0.0.0.0/0', { dev: 'eth0' }), route(6, '::/0', { dev: 'eth0' })])
  })

  it('reads a route without details as ip prints it: unicast, main table, protocol boot', () => {
    expect(parseRoutes('[{"dst":"default","gateway":"169.254.1.1","dev":"eth0","flags":[]}]')).toEqual([DEFAULT4])
  })

  it.each<[string, object, Partial<Route>]>([
    [
      'table, protocol and metric',
      { table: '100', protocol: '142', metric: 50 },
      { table: 100, protocol: 142, priority: 50 },
    ],
    ['mtu and advmss', { metrics: [{ mtu: 1400, advmss: 1360 }] }, { attributes: { mtu: 1400, advmss: 1360 } }],
    [
      'other metrics, as words',
      { metrics: [{ ssthresh: 1000, reordering: 10 }] },
      { extra: ['ssthresh', '1000', 'reordering', '10'] },
    ],
    ['onlink', { flags: ['onlink'] }, { onlink: true }],
    ['the seconds it has to live', { expires: 599 }, { expires: 599 }],
    ['metrics that cannot be written as they are read, as such', { metrics: [{ rtt: 37 }] }, { opaque: 'rtt' }],
    ['tos', { tos: '0x10' }, { tos: '0x10' }],
    ['a nexthop object', { nhid: 7 }, { nhid: 7 }],
    ['an encapsulation, which cannot be written back', { encap: 'mpls' }, { opaque: 'encap' }],
  ])('keeps %s', (_, json, more) => {
    const answer = JSON.stringify([{ dst: '10.0.0.0/8', gateway: '10.1.1.1', dev: 'eth0', flags: [], ...json }])
    expect(parseRoutes(answer)).toEqual([route(4, '10.0.0.0/8', { gw: '10.1.1.1', dev: 'eth0', ...more })])
  })

  it('keeps an IPv6 next hop of an IPv4 route', () => {
    const answer = '[{"dst":"10.0.0.0/8","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0","flags":[]}]'
    expect(parseRoutes(answer)).toEqual([route(4, '10.0.0.0/8', { gw: 'fe80::1', dev: 'eth0' })])
  })

  it('keeps every next hop of a multipath route', () => {
    const answer = JSON.stringify([
      {
        dst: 'default',
        flags: [],
        nexthops: [
          { gateway: '10.0.0.1', dev: 'eth0', weight: 1, flags: [] },
          { gateway: '10.0.0.2', dev: 'net1', weight: 2, flags: ['onlink'] },
        ],
      },
    ])
    const nexthops = [
      { gw: '10.0.0.1', dev: 'eth0', weight: 1, onlink: false },
      { gw: '10.0.0.2', dev: 'net1', weight: 2, onlink: true },
    ]
    expect(parseRoutes(answer)).toEqual([route(4, '0.0.0.0/0', { nexthops })])
  })

  it.each(['', 'Usage: ip route', '{', '[{"dst":'])('throws at %j', (answer) => {
    expect(() => parseRoutes(answer)).toThrow(SyntaxError)
  })
})

describe('an encapsulated route, whose object has a second dst', () => {
  // ip -json -Numeric -details, iproute2 6.1: ip route add default encap ip id 1 dst 9.9.9.9 via 169.254.1.1 dev eth0
  const answer =
    '[{"type":"1","dst":"default","encap":"ip","id":1,"src":"0.0.0.0","dst":"9.9.9.9","ttl":0,"tos":0,"gateway":"169.254.1.1","dev":"eth0","protocol":"3","scope":"0","flags":[]}]'

  it('is seen for what it is, and as one that cannot be put back', () => {
    expect(parseRoutes(answer)).toMatchObject([{ dst: '0.0.0.0/0', gw: '169.254.1.1', dev: 'eth0', opaque: 'encap' }])
  })
})

describe('a control character in the name of an interface, which ip prints as it is', () => {
  it('is no reason not to understand the answer', () => {
    expect(parseRoutes('[{"dst":"default","dev":"a\u0001b","flags":[]}]')[0]?.dev).toBe('a\u0001b')
  })
})

describe('an answer to address show', () => {
  it('gives name, state, kind, and addresses with their prefix lengths', () => {
    const answer = JSON.stringify([
      { ifname: 'lo', flags: ['LOOPBACK', 'UP'], addr_info: [{ local: '127.0.0.1', prefixlen: 8 }] },
      {},
      {
        ifname: 'eth0',
        flags: ['BROADCAST'],
        linkinfo: { info_kind: 'veth' },
        addr_info: [{ local: '10.0.0.1', prefixlen: 24 }, {}, { local: 'fe80::1', prefixlen: 64 }],
      },
    ])
    expect(parseLinks(answer)).toEqual([
      { ifname: 'lo', up: true, addresses: ['127.0.0.1'], prefixlens: [8] },
      { ifname: 'eth0', up: false, kind: 'veth', addresses: ['10.0.0.1', 'fe80::1'], prefixlens: [24, 64] },
    ])
  })
})

describe('a batch line', () => {
  const eth0 = { dev: 'eth0', protocol: 142 }
  it.each<[string, 'add' | 'replace' | 'del', Route]>([
    [
      'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'add',
      route(4, '10.50.0.0/16', { ...eth0, gw: '169.254.1.1' }),
    ],
    [
      'route replace fd00:10:50::/48 via fe80::1 dev eth0 proto 142 metric 1024',
      'replace',
      route(6, 'fd00:10:50::/48', { ...eth0, gw: 'fe80::1' }),
    ],
    ['route add 10.50.0.0/16 dev eth0 proto 142', 'add', route(4, '10.50.0.0/16', eth0)],
    ['route add 10.50.0.0/16 dev eth0 proto 142 scope 0', 'add', route(4, '10.50.0.0/16', { ...eth0, scope: 0 })],
    [
      'route add 10.50.0.0/16 via 10.0.0.1 dev eth0 proto 142 scope 200',
      'add',
      route(4, '10.50.0.0/16', { ...eth0, gw: '10.0.0.1', scope: 200 }),
    ],
    [
      'route add 10.50.0.0/16 via 10.9.9.9 dev eth0 onlink proto 142',
      'add',
      route(4, '10.50.0.0/16', { ...eth0, gw: '10.9.9.9', onlink: true }),
    ],
    [
      'route add 10.50.0.0/16 via 10.0.0.1 dev eth0 table 100 proto 142 metric 50 src 10.0.0.9 mtu 1400 advmss 1360',
      'add',
      route(4, '10.50.0.0/16', {
        ...eth0,
        gw: '10.0.0.1',
        table: 100,
        priority: 50,
        src: '10.0.0.9',
        attributes: { mtu: 1400, advmss: 1360 },
      }),
    ],
    ['route del 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3', 'del', DEFAULT4],
    ['route del ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024', 'del', DEFAULT6],
    ['route del 169.254.1.1/32 dev eth0 proto 3', 'del', LINK4],
    [
      'route add ::/0 via fe80::1 dev eth0 proto 9 metric 512 pref high',
      'add',
      route(6, '::/0', { dev: 'eth0', gw: 'fe80::1', protocol: 9, priority: 512, extra: ['pref', 'high'] }),
    ],
    [
      'route add 10.0.0.0/8 via inet6 fe80::1 dev eth0 proto 3',
      'add',
      route(4, '10.0.0.0/8', { dev: 'eth0', gw: 'fe80::1' }),
    ],
    ['route add 10.0.0.0/8 nhid 7 proto 3', 'add', route(4, '10.0.0.0/8', { dev: 'eth0', gw: '10.0.0.1', nhid: 7 })],
    [
      'route del 0.0.0.0/0 proto 3 nexthop via 10.0.0.1 dev eth0 weight 1 nexthop dev eth0 weight 2 onlink',
      'del',
      route(4, '0.0.0.0/0', {
        nexthops: [
          { gw: '10.0.0.1', dev: 'eth0', weight: 1, onlink: false },
          { dev: 'eth0', weight: 2, onlink: true },
        ],
      }),
    ],
  ])('%s', (line, op, subject) => {
    expect(batchLine({ op, route: subject })).toBe(line)
  })

  it('has the seconds to live, but not to delete it', () => {
    const mortal = route(6, 'fd00::/48', { dev: 'eth0', expires: 600 })
    expect(batchLine({ op: 'add', route: mortal })).toBe('route add fd00::/48 dev eth0 proto 3 metric 1024 expires 600')
    expect(batchLine({ op: 'del', route: mortal })).toBe('route del fd00::/48 dev eth0 proto 3 metric 1024')
  })

  it('without its verb is the text of a route', () => {
    expect(routeText(DEFAULT4)).toBe('0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3')
  })
})

it('a number of ip(8) that is none is refused, before it can get into a batch', () => {
  const odd = { dst: 'default', nexthops: [{ dev: 'eth0', weight: [[0, null]], flags: [] }] }
  expect(() => parseRoutes(JSON.stringify([odd]))).toThrow('unexpected')
  for (const key of ['priority', 'table', 'protocol'])
    expect(() => parseRules(JSON.stringify([{ priority: 1, table: '100', [key]: [1, 2] }]), 4)).toThrow('unexpected')
})
