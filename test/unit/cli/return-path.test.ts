import { describe, expect, it } from 'vitest'
import { type End, hostEndOf, missingReturnPath, type Nic, nicOf, parseEnds } from '../../../src/cli/return-path.ts'
import { route } from '../../support/snapshots.ts'

const NIC: Nic = { index: 2, peer: 7, hostNames: [], addresses: ['10.199.3.153'] }
const HOST: End = { ifname: 'cali1', index: 7, kind: 'veth', peer: 2, addresses: [] }

describe('the ends of a veth', () => {
  it('are read of what ip tells of interfaces', () => {
    const answer = JSON.stringify([
      { ifindex: 1, ifname: 'lo', addr_info: [{ local: '127.0.0.1' }] },
      {
        ifindex: 2,
        link_index: 7,
        ifname: 'eth0',
        link_netnsid: 0,
        linkinfo: { info_kind: 'veth' },
        addr_info: [{ local: '10.199.3.153' }, { local: '2001:db8::1', dynamic: true }, {}],
      },
      { ifindex: 3, link_index: 2, ifname: 'mac0', linkinfo: { info_kind: 'macvlan' } },
      { ifindex: 4, link: 'other', ifname: 'in', master: 'br0', linkinfo: { info_kind: 'veth' } },
      {},
    ])
    expect(parseEnds(answer)).toEqual([
      { ifname: 'lo', index: 1, addresses: ['127.0.0.1'] },
      { ifname: 'eth0', index: 2, kind: 'veth', peer: 7, addresses: ['10.199.3.153'] },
      { ifname: 'mac0', index: 3, kind: 'macvlan', addresses: [] },
      { ifname: 'in', index: 4, kind: 'veth', master: 'br0', addresses: [] },
    ])
  })

  it.each<[string, Partial<Nic>, Partial<End>, boolean]>([
    ['know each other', {}, {}, true],
    ['are not of one veth: its number is another', { peer: 8 }, {}, false],
    ['are not of one veth: it leads to another NIC', {}, { peer: 3 }, false],
    ['are not of one veth: it leads to its own namespace', {}, { peer: undefined as never }, false],
    ['have the name that the Result tells', { hostNames: ['bwp1', 'cali1'] }, {}, true],
    ['have another name than the Result tells', { hostNames: ['cali2'] }, {}, false],
  ])('%s', (_, nic, end, found) => {
    expect(hostEndOf({ ...NIC, ...nic }, [{ ...HOST, ...end }]) !== undefined).toBe(found)
  })
})

describe('the NIC that needs a return path', () => {
  const eth0: End = { ifname: 'eth0', index: 2, kind: 'veth', peer: 7, addresses: ['10.199.3.153', 'fe80::1'] }
  const of = (result: unknown, maker: string | undefined = 'calico', ends = [eth0]) =>
    nicOf(ends, { ifname: 'eth0', maker, result })

  it.each<[string, unknown, readonly string[]]>([
    ['the kernel, where no Result tells', undefined, ['10.199.3.153']],
    [
      'a Result, in the form the kernel prints',
      { ips: [{ address: 'FD00:10:199:0::0153/128' }, { address: '10.199.3.154/32' }] },
      ['fd00:10:199::153', '10.199.3.154'],
    ],
    [
      'a Result, and only those of the NIC',
      {
        interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: '/run/netns/x' }],
        ips: [
          { interface: 0, address: '10.1.0.1/24' },
          { interface: 1, address: '10.1.0.2/24' },
        ],
      },
      ['10.1.0.2'],
    ],
    ['a Result, less link-local ones', { ips: [{ address: 'fe80::2/64' }, { address: '10.1.0.2/24' }] }, ['10.1.0.2']],
    ['the kernel, where a Result holds none that can be read', { ips: [7, { address: 'x' }] }, ['10.199.3.153']],
  ])('has the addresses of %s', (_, result, addresses) => {
    expect(of(result)?.addresses).toEqual(addresses)
  })

  it.each<[string, string | undefined, End[]]>([
    ['behind a plugin that has packets carried by others', 'kube-ovn', [eth0]],
    ['behind nobody knows what', undefined, [eth0]],
    ['that is not there', 'calico', []],
    ['that is no veth', 'calico', [{ ifname: 'eth0', index: 2, kind: 'macvlan', addresses: [] }]],
    [
      'that is a dummy, and nobody put the NIC elsewhere',
      'calico',
      [{ ...eth0, kind: 'dummy', peer: undefined as never }],
    ],
  ])('is none %s', (_, maker, ends) => {
    expect(nicOf(ends, { ifname: 'eth0', maker, result: {} })).toBeUndefined()
  })

  it('is where KubeVirt put it, under either of its names', () => {
    const dummy = (ifname: string): End => ({ ifname, index: 9, kind: 'dummy', addresses: ['10.199.3.153'] })
    for (const [ifname, moved] of [
      ['eth0', 'eth0-nic'],
      ['pod37a8eec1ce1', '37a8eec1ce1-nic'],
    ] as const) {
      const ends = [dummy(ifname), { ...eth0, ifname: moved, addresses: [] }]
      expect(nicOf(ends, { ifname, maker: 'calico', result: {} })).toEqual({ ...NIC, addresses: ['10.199.3.153'] })
    }
  })
})

describe('the return path', () => {
  const A = '10.199.3.153'
  const way = (more: object) => route(4, `${A}/32`, more)

  it('is there by the host end, however the route came about', () => {
    expect(missingReturnPath(A, 'cali1', { way: way({ dev: 'cali1' }) })).toBeUndefined()
    expect(missingReturnPath(A, 'cali1', { way: way({ dev: 'cali1', gw: A }) })).toBeUndefined()
  })

  it.each([
    [
      'another interface',
      { way: way({ dev: 'eth0', gw: '10.50.0.1' }) },
      "the node's route is via 10.50.0.1 dev eth0, not dev cali1",
    ],
    ['the node itself', { way: way({ dev: 'lo', type: 2 }) }, "the node's route is local dev lo, not dev cali1"],
    ['nowhere', {}, 'the node has no route to it; it must have one with dev cali1'],
    [
      'nowhere: the longest prefix of the main table says so',
      {
        around: [
          route(4, '0.0.0.0/0', { gw: '10.50.0.1', dev: 'eth0' }),
          route(4, '10.199.3.128/26', { type: 6 }),
          route(4, `${A}/32`, { table: 99, dev: 'eth1' }),
        ],
      },
      "the node's route is blackhole 10.199.3.128/26, not dev cali1",
    ],
  ])('leads to %s', (_, told, said) => {
    expect(missingReturnPath(A, 'cali1', told)).toBe(`no return path to ${A}: ${said}`)
  })
})
