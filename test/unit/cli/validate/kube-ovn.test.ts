import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { network, ours } from '../../../support/networks.ts'
import { codes, findings } from '../../../support/validate.ts'

const OVN = { type: 'kube-ovn', provider: 'vpc.tenant.ovn' }
const subnet = (name: string, cidrBlock: string, more: object = {}) => ({
  apiVersion: 'kubeovn.io/v1',
  kind: 'Subnet',
  metadata: { name },
  spec: { vpc: 'tenant', provider: 'vpc.tenant.ovn', cidrBlock, ...more },
})
const DEFAULT = 'v1.multus-cni.io/default-network'
const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const pod = (annotations: object) => ({
  kind: 'Pod',
  metadata: {
    namespace: 'tenant',
    annotations: {
      [DEFAULT]: 'tenant/first',
      [NETWORKS]: 'vpc',
      ...annotations,
    },
  },
})
const asks = { 'vpc.tenant.ovn.kubernetes.io/default_route': 'true' }
const yaml = (...documents: object[]) => documents.map((one) => stringify(one, { lineWidth: 0 })).join('---\n')
const FIRST = network('first', { type: 'calico' }, ours())
const VPC = network('vpc', OVN)

describe('validate says of Kube-OVN’s', () => {
  it.each<[string, object, string[]]>([
    ['gateway inside', subnet('a', '10.0.1.0/24', { gateway: '10.0.1.1' }), []],
    ['gateways of both families', subnet('a', '10.0.1.0/24,fd00::/64', { gateway: '10.0.1.1,fd00::1' }), []],
    [
      'gateway outside',
      subnet('a', '10.0.1.0/24,fd00::/64', { gateway: '10.0.2.1,fd00::1' }),
      [
        'error: spec.gateway: 10.0.2.1 is outside the cidrBlock 10.0.1.0/24,fd00::/64, so Kube-OVN refuses the Subnet; write an address inside',
      ],
    ],
    ['gateway that is none', subnet('a', '10.0.1.0/24', { gateway: 7 }), []],
    [
      'namesake of somebody else',
      { ...subnet('a', '10.0.1.0/24', { gateway: '10.0.2.1' }), apiVersion: 'example.org/v1' },
      [],
    ],
  ])('Subnet: a %s', async (_, one, expected) => {
    expect(await findings(yaml(VPC, one))).toEqual(expected)
  })

  const gateway = (written: unknown) => network('vpc', OVN, { type: 'x-calico-route', ovnGateway: written })
  const outside = (path: string, address: string) => [
    `warning: plugins[1].${path}: ${address} is outside this network's Subnet a (10.0.1.0/24, fd00:1::/64); write its gateway, or "auto"`,
  ]
  it.each<[string, object, string[]]>([
    ['inside', gateway('10.0.1.1'), []],
    ['inside, in an object', gateway({ ipv4: '10.0.1.1', ipv6: 'fd00:1::1' }), []],
    ['outside', gateway('10.0.2.1'), outside('ovnGateway', '10.0.2.1')],
    [
      'outside, of one family',
      gateway({ ipv4: '10.0.1.1', ipv6: 'fd00:2::1' }),
      outside('ovnGateway.ipv6', 'fd00:2::1'),
    ],
    ['of another NIC', gateway({ ipv4: '10.0.2.1', dev: 'net1' }), []],
    [
      'of another provider',
      network('x', { type: 'kube-ovn', provider: 'x.tenant.ovn' }, { type: 'x-calico-route', ovnGateway: '10.0.2.1' }),
      [],
    ],
  ])('Subnet: an ovnGateway %s', async (_, one, expected) => {
    expect(await findings(yaml(one, subnet('a', '10.0.1.0/24,fd00:1::/64')))).toEqual(expected)
  })

  const subnets = [
    subnet('a', '10.0.1.0/24'),
    subnet('b', '10.0.2.0/24', { provider: 'b.tenant.ovn' }),
    subnet('c', '10.9.0.0/16', { vpc: 'other', provider: 'c.tenant.ovn' }),
  ]
  const taken = (what: string) => [
    `warning: metadata.annotations.v1.multus-cni.io/default-network: network tenant/first: ${what}; write narrower prefixes there`,
  ]
  it.each<[string, object, string[]]>([
    ['beside it', { dst: '10.50.0.0/16' }, []],
    [
      'around it',
      { dst: '10.0.0.0/8' },
      taken('routes[0] (10.0.0.0/8) covers addresses of VPC tenant, in Subnet b (10.0.2.0/24)'),
    ],
    ['around the pod’s own Subnet alone, where the connected route wins', { dst: '10.0.0.0/23' }, []],
    [
      'in the pod’s own Subnet',
      { dst: '10.0.1.0/25' },
      taken('routes[0] (10.0.1.0/25) covers addresses of VPC tenant, in Subnet a (10.0.1.0/24)'),
    ],
    [
      'in another one',
      { dst: '10.0.2.7/32' },
      taken('routes[0] (10.0.2.7/32) covers addresses of VPC tenant, in Subnet b (10.0.2.0/24)'),
    ],
    ['to a VPC that the pod is not in', { dst: '10.9.0.0/16' }, []],
    ['of another table', { dst: '10.0.0.0/8', table: 100 }, []],
    ['through its NIC', { dst: '10.0.0.0/8', dev: 'net1', gw: '10.0.1.1' }, []],
    ['through a NIC that nobody knows', { dst: '10.0.0.0/8', dev: 'net7', gw: '10.7.0.1' }, []],
    [
      'that names its own NIC',
      { dst: '10.0.0.0/8', dev: 'eth0' },
      taken('routes[0] (10.0.0.0/8) covers addresses of VPC tenant, in Subnet b (10.0.2.0/24)'),
    ],
  ])('VPC: a route %s', async (_, route, expected) => {
    const first = network('first', { type: 'calico' }, ours({ routes: [route] }))
    expect(await findings(yaml(first, VPC, ...subnets, pod(asks)))).toEqual(expected)
  })

  it.each<[string, object[], number]>([
    ['that leads there by a narrower route', [{ dst: '10.0.0.0/16', gw: '10.0.1.1' }], 0],
    ['that leads to a part of it', [{ dst: '10.0.2.0/25', gw: '10.0.1.1' }], 1],
    ['that has the same route', [{ dst: '10.0.0.0/8', gw: '10.0.1.1' }], 1],
  ])('VPC: a wide route beside its own NIC %s', async (_, routes, expected) => {
    const first = network('first', { type: 'calico' }, ours({ routes: [{ dst: '10.0.0.0/8' }] }))
    const found = await codes(yaml(first, network('vpc', OVN, ours({ routes })), ...subnets, pod(asks)))
    expect(found.filter((one) => one.endsWith('XCR405'))).toHaveLength(expected)
  })

  const AWAY = { dst: '10.0.2.0/24', gw: '10.7.0.1' }
  const list = (...names: object[]) => JSON.stringify(names)
  it.each<[string, string, object[], string[]]>([
    ['of the VPC’s own network through the first NIC', 'vpc', [{ ...AWAY, dev: 'eth0' }], ['vpc']],
    ['of the VPC’s own network through its own', 'vpc', [{ ...AWAY, dev: 'net1' }], []],
    ['of the VPC’s own network through the third', 'vpc,other', [{ ...AWAY, dev: 'net2' }], ['vpc']],
    ['of the VPC’s own network through one that has a name', 'vpc@a,other@b', [{ ...AWAY, dev: 'b' }], ['vpc']],
    [
      'of the VPC’s own network through one that has a name in JSON',
      list({ name: 'vpc', interface: 'a' }, { name: 'other', interface: 'b' }),
      [{ ...AWAY, dev: 'b' }],
      ['vpc'],
    ],
    ['through a NIC that has another name', 'vpc@a,other@b', [{ ...AWAY, dev: 'net2' }], []],
    ['through the NIC of another VPC', 'vpc,more', [{ ...AWAY, dev: 'net2' }], []],
  ])('VPC: a route %s', async (_, networks, routes, expected) => {
    const more = network('more', { type: 'kube-ovn', provider: 'b.tenant.ovn' })
    const all = [FIRST, network('vpc', OVN, ours({ routes })), network('other', { type: 'macvlan' }), more]
    const found = await findings(yaml(...all, ...subnets, pod({ ...asks, [NETWORKS]: networks })))
    const named = found.flatMap((one) => /network tenant\/(\S+): routes.* covers addresses of VPC/.exec(one)?.[1] ?? [])
    expect(named).toEqual(expected)
  })

  it('VPC: a route through the NIC of the cluster’s network', async () => {
    const one = { kind: 'Pod', metadata: { namespace: 'tenant', annotations: { [NETWORKS]: 'vpc', ...asks } } }
    const vpc = network('vpc', OVN, ours({ routes: [{ ...AWAY, dev: 'eth0' }] }))
    expect(await codes(yaml(vpc, ...subnets, one))).toEqual([expect.stringContaining('XCR405')])
  })

  it('VPC: a wide route, beside a narrower one that leads through its NIC', async () => {
    const routes = [{ dst: '10.0.0.0/8' }, { dst: '10.0.0.0/16', gw: '10.0.1.1', dev: 'net1' }]
    const first = network('first', { type: 'calico' }, ours({ routes }))
    expect(await findings(yaml(first, VPC, ...subnets, pod(asks)))).toEqual([])
  })

  const IPAM = { type: 'macvlan', ipam: { type: 'kube-ovn', provider: 'mac.tenant' } }
  const removing = network('first', { type: 'calico' }, ours())
  const first = 'tenant/first'
  it.each<[string, object, number]>([
    ['that has lost Calico’s default route', { [DEFAULT]: first, [NETWORKS]: 'mac' }, 1],
    ['that has one from Kube-OVN', { [DEFAULT]: first, [NETWORKS]: 'vpc,mac', ...asks }, 0],
    ['that keeps that of the cluster', { [NETWORKS]: 'mac' }, 0],
  ])('IPAM without a gateway, in a pod %s', async (_, annotations, expected) => {
    const one = { kind: 'Pod', metadata: { namespace: 'tenant', annotations } }
    const found = await codes(yaml(removing, VPC, network('mac', IPAM), one))
    expect(found.filter((one) => one.endsWith('XCR402'))).toHaveLength(expected)
  })

  const at = (key: string) => `metadata.annotations.${key}`
  it.each<[string, string, string, string[]]>([
    ['of a network of the pod', 'vpc.tenant.ovn.kubernetes.io/ip_address', '10.0.1.5', []],
    ['of one NIC of a network that the pod has twice', 'vpc.tenant.ovn.net1.kubernetes.io/ip_address', '10.0.1.5', []],
    ['with the Subnet of one NIC', 'vpc.tenant.ovn.net1.kubernetes.io/logical_switch', 'a', []],
    ['of the first network', 'ovn.kubernetes.io/logical_switch', 'x', []],
    [
      'misspelt',
      'vpc.tenat.ovn.kubernetes.io/ip_address',
      '10.0.1.5',
      [
        `warning: ${at('vpc.tenat.ovn.kubernetes.io/ip_address')}: no network of this pod has the provider vpc.tenat.ovn, so Kube-OVN ignores this; did you mean "vpc.tenant.ovn.kubernetes.io/ip_address"?`,
      ],
    ],
    [
      'of another network',
      'storage.kubernetes.io/mac_address',
      'x',
      [
        `warning: ${at('storage.kubernetes.io/mac_address')}: no network of this pod has the provider storage, so Kube-OVN ignores this; those of this pod are vpc.tenant.ovn`,
      ],
    ],
    ['of somebody else', 'node.kubernetes.io/instance-type', 'x', []],
    ['with the Subnet', 'vpc.tenant.ovn.kubernetes.io/logical_switch', 'a', []],
    [
      'with a Subnet of another provider',
      'vpc.tenant.ovn.kubernetes.io/logical_switch',
      'b',
      [
        `warning: ${at('vpc.tenant.ovn.kubernetes.io/logical_switch')}: Subnet b has the provider b.tenant.ovn, not vpc.tenant.ovn; write one of this provider`,
      ],
    ],
  ])('annotation %s', async (_, key, value, expected) => {
    expect(await findings(yaml(FIRST, VPC, ...subnets, pod({ ...asks, [key]: value })))).toEqual(expected)
  })

  it('annotation of a network without a provider', async () => {
    const key = 'bare.tenant.ovn.kubernetes.io/ip_address'
    const one = pod({ [NETWORKS]: 'bare', [key]: '10.0.1.5' })
    expect(await findings(yaml(FIRST, network('bare', { type: 'kube-ovn' }), one))).toEqual([
      `warning: ${at(key)}: no network of this pod has the provider bare.tenant.ovn, and one of them names none; write "provider": "bare.tenant.ovn" in the configuration of that network`,
    ])
  })

  it('annotation nothing, if some network of the pod is not among the files', async () => {
    expect(await findings(yaml(FIRST, pod({ 'k8s.v1.cni.cncf.io/networks': 'elsewhere/x', ...asks })))).toEqual([])
  })

  it('each at its place', async () => {
    const text = yaml(VPC, subnet('a', '10.0.1.0/24', { gateway: '10.0.2.1' }))
    const lines = text.split('\n')
    const line = lines.findIndex((one) => one.includes('gateway'))
    expect(await codes(text)).toEqual([`${line + 1}:${(lines[line] ?? '').indexOf('10.0.2.1') + 1} XCR404`])
  })
})
