import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { network, ours } from '../../../support/networks.ts'
import { findings } from '../../../support/validate.ts'

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const FIRST = 'v1.multus-cni.io/default-network'
const AT = `metadata.annotations.${NETWORKS}`

const ETCD = { type: 'calico', datastore_type: 'etcdv3' }
const calico = (assign_ipv4: string, assign_ipv6?: string) => ({
  ...ETCD,
  ipam: { type: 'calico-ipam', assign_ipv4, assign_ipv6 },
})
const pod = (annotations: object) => ({ kind: 'Pod', metadata: { namespace: 'tenant', annotations } })
const yaml = (...documents: object[]) => documents.map((one) => stringify(one, { lineWidth: 0 })).join('---\n')

describe('validate says of the default routes of a pod', () => {
  const OVN = { type: 'kube-ovn', provider: 'vpc.tenant.ovn' }
  const asks = { 'vpc.tenant.ovn.kubernetes.io/default_route': 'true' }
  const both = { [FIRST]: 'tenant/first', [NETWORKS]: 'tenant/vpc', ...asks }
  const TWO = `warning: ${AT}: tenant/first and tenant/vpc both give this pod an IPv4 default route; write "defaultRoute": "remove" in one of them`
  it.each<[string, object[], string[]]>([
    ['two that have one', [network('first', ETCD), network('vpc', OVN)], [TWO]],
    ['one that keeps its own', [network('first', ETCD, ours({ defaultRoute: 'keep' })), network('vpc', OVN)], [TWO]],
    ['one that removes it', [network('first', ETCD, ours()), network('vpc', OVN)], []],
    [
      'one that demotes it',
      [network('first', ETCD, ours({ defaultRoute: { ipv4: 'demote' } })), network('vpc', OVN)],
      [],
    ],
    ['a gateway', [network('first', ETCD), network('vpc', OVN, ours({ ovnGateway: '10.0.1.1' }))], []],
    [
      'others that nobody knows',
      [network('first', ETCD), network('vpc', { type: 'macvlan' })],
      [expect.stringContaining('no network of this pod has the provider')],
    ],
    [
      'Calico behind another one',
      [network('first', OVN), network('vpc', ETCD, ours())],
      [
        `warning: ${AT}: Calico refuses to attach ("file exists") where tenant/first has left an IPv4 default route; write "defaultRoute": "demote" in that network, or make Calico's the first`,
      ],
    ],
    [
      'Calico behind one that demotes',
      [network('first', OVN, ours({ defaultRoute: 'demote' })), network('vpc', ETCD, ours())],
      [],
    ],
    ['Calico without IPv4 behind another one', [network('first', OVN), network('vpc', calico('false'))], []],
  ])('how many default routes come of %s', async (_, networks, expected) => {
    expect(await findings(yaml(...networks, pod(both)))).toEqual(expected)
  })

  const subnet = (cidrBlock: string, name = 'a') => ({
    apiVersion: 'kubeovn.io/v1',
    kind: 'Subnet',
    metadata: { name },
    spec: { provider: 'vpc.tenant.ovn', cidrBlock },
  })
  const ONLY_6 = calico('false', 'true')
  const KEEPS_6 = ours({ defaultRoute: { ipv6: 'keep' } })
  const TWO_6 = TWO.replace('IPv4', 'IPv6')
  const LATE_6 = `warning: ${AT}: Calico refuses to attach ("file exists") where tenant/first has left an IPv6 default route; write "defaultRoute": "demote" in that network, or make Calico's the first`
  it.each<[string, object[], string[]]>([
    ['two that have one', [network('first', ONLY_6), network('vpc', OVN), subnet('fd00::/64')], [TWO_6]],
    [
      'one that keeps only its own of IPv6',
      [network('first', calico('true', 'true'), KEEPS_6), network('vpc', OVN), subnet('10.0.1.0/24,fd00::/64')],
      [TWO_6],
    ],
    [
      'two of both families, of which it says one',
      [network('first', calico('true', 'true')), network('vpc', OVN), subnet('10.0.1.0/24,fd00::/64')],
      [TWO],
    ],
    [
      'one that removes it',
      [network('first', calico('true', 'true'), ours()), network('vpc', OVN), subnet('fd00::/64')],
      [],
    ],
    ['a Subnet of IPv4', [network('first', ONLY_6), network('vpc', OVN), subnet('10.0.1.0/24')], []],
    [
      'Subnets of which one has IPv6',
      [network('first', ONLY_6), network('vpc', OVN), subnet('10.0.1.0/24'), subnet('fd00::/64', 'b')],
      [],
    ],
    ['a Subnet that nobody knows', [network('first', ONLY_6), network('vpc', OVN)], []],
    ['Calico without IPv6', [network('first', ETCD, KEEPS_6), network('vpc', OVN), subnet('fd00::/64')], []],
    [
      'a gateway',
      [network('first', ONLY_6), network('vpc', OVN, ours({ ovnGateway: { ipv6: 'fd00::1' } })), subnet('fd00::/64')],
      [],
    ],
    [
      'a gateway of IPv4 alone',
      [
        network('first', ONLY_6),
        network('vpc', OVN, ours({ ovnGateway: '10.0.1.1', defaultRoute: 'keep' })),
        subnet('10.0.1.0/24,fd00::/64'),
      ],
      [TWO_6],
    ],
    [
      'Calico behind another one',
      [network('first', OVN), network('vpc', ONLY_6, ours()), subnet('fd00::/64')],
      [LATE_6],
    ],
    [
      'Calico behind one that demotes that of IPv4 alone',
      [
        network('first', OVN, ours({ defaultRoute: { ipv4: 'demote', ipv6: 'keep' } })),
        network('vpc', calico('true', 'true'), ours()),
        subnet('10.0.1.0/24,fd00::/64'),
      ],
      [LATE_6],
    ],
    [
      'Calico without IPv6 behind another one',
      [network('first', OVN), network('vpc', calico('false'), ours()), subnet('fd00::/64')],
      [],
    ],
  ])('how many IPv6 default routes come of %s', async (_, documents, expected) => {
    expect((await findings(yaml(...documents, pod(both)))).filter((line) => line.includes('default route'))).toEqual(
      expected,
    )
  })

  it('that an annotation brings the family of one', async () => {
    const families = (list: string) => ({ ...both, 'cni.projectcalico.org/ipFamilies': list })
    const first = network('first', OVN, ours({ defaultRoute: { ipv4: 'demote', ipv6: 'keep' } }))
    const documents = [first, network('vpc', ETCD, ours()), subnet('10.0.1.0/24,fd00::/64')]
    expect(await findings(yaml(...documents, pod(families('["IPv6"]'))))).toEqual([LATE_6])
    expect(await findings(yaml(...documents, pod(families('["IPv4"]'))))).toEqual([])
  })

  it('that a VM gets two of them', async () => {
    const nic = (name: string) => ({ name, bridge: {} })
    const vm = {
      kind: 'VirtualMachineInstance',
      metadata: { namespace: 'tenant', annotations: asks },
      spec: {
        domain: { devices: { interfaces: [nic('a'), nic('b')] } },
        networks: [
          { name: 'a', multus: { networkName: 'tenant/first', default: true } },
          { name: 'b', multus: { networkName: 'tenant/vpc' } },
        ],
      },
    }
    const networks = [network('first', ETCD, ours({ defaultRoute: 'demote' })), network('vpc', OVN)]
    expect((await findings(yaml(...networks, vm))).filter((line) => line.startsWith('warning'))).toEqual([
      'warning: spec.networks[1].multus.networkName: tenant/first and tenant/vpc both give the VM an IPv4 default route; write "defaultRoute": "remove" in one of them',
    ])
  })
})
