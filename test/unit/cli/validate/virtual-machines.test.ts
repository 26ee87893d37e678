import { describe, expect, it } from 'vitest'
import { CALICO, findings, list, OURS } from '../../../support/validate.ts'

describe('validate says what KubeVirt makes of a network', () => {
  const definition = (name: string, namespace?: string) =>
    JSON.stringify({
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name, ...(namespace ? { namespace } : {}) },
      spec: { config: list([CALICO, { ...OURS, routes: [{ dst: 'fd00::/64' }] }]) },
    })
  const vm = (networkName: string, more: { kind?: string; binding?: object; namespace?: string } = {}) => {
    const { kind = 'VirtualMachine', binding = { bridge: {} }, namespace = 'tenant' } = more
    const byAnnotation = networkName.endsWith('@eth0')
    const pod = {
      ...(byAnnotation ? { metadata: { annotations: { 'v1.multus-cni.io/default-network': networkName } } } : {}),
      spec: {
        domain: { devices: { interfaces: [{ name: 'nic', ...binding }] } },
        networks: [byAnnotation ? { name: 'nic', pod: {} } : { name: 'nic', multus: { networkName, default: true } }],
      },
    }
    const metadata = { name: 'vm', namespace }
    if (kind === 'VirtualMachineInstance')
      return JSON.stringify({ kind, metadata: { ...metadata, ...pod.metadata }, spec: pod.spec })
    const spec =
      kind === 'VirtualMachinePool' ? { virtualMachineTemplate: { spec: { template: pod } } } : { template: pod }
    return JSON.stringify({ kind, metadata, spec })
  }
  const NOTE =
    'note: plugins[1].routes[0]: KubeVirt hands no IPv6 routes to a VM; write them in its cloud-init network configuration'

  it.each<[string, string, string, boolean]>([
    ['that a machine has', definition('net', 'tenant'), vm('tenant/net'), true],
    ['that a machine of the same namespace has', definition('net', 'tenant'), vm('net'), true],
    [
      'that a machine of another namespace has not',
      definition('net', 'tenant'),
      vm('net', { namespace: 'other' }),
      false,
    ],
    ['whose namespace nobody says', definition('net'), vm('tenant/net'), true],
    ['that an instance has', definition('net', 'tenant'), vm('net', { kind: 'VirtualMachineInstance' }), true],
    ['that a set has', definition('net', 'tenant'), vm('net', { kind: 'VirtualMachineInstanceReplicaSet' }), true],
    ['that a pool has', definition('net', 'tenant'), vm('net', { kind: 'VirtualMachinePool' }), true],
    ['that is the default one of its pod', definition('net', 'tenant'), vm('tenant/net@eth0'), true],
    ['that it has by masquerading', definition('net', 'tenant'), vm('net', { binding: { masquerade: {} } }), false],
    ['of another name', definition('net', 'tenant'), vm('tenant/net2'), false],
    ['beside a document of another kind', definition('net', 'tenant'), vm('net', { kind: 'Deployment' }), false],
    [
      'beside a machine that is none',
      definition('net', 'tenant'),
      JSON.stringify({ kind: 'VirtualMachine', spec: { template: 5 } }),
      false,
    ],
    ['without any machine', definition('net', 'tenant'), 'kind: Pod', false],
  ])('%s', async (_, network, machine, told) => {
    const made = async (text: string) =>
      (await findings(text)).filter(
        (line) =>
          !/: (?:no NetworkAttachmentDefinition [\w/-]+ among the files|the bridge binding hands the routes of)/.test(
            line,
          ),
      )
    expect(await made(`# machine\n${machine}\n---\n${network}\n`)).toEqual(told ? [NOTE] : [])
    expect(await made(`# network\n${network}\n---\n${machine}\n`)).toEqual(told ? [NOTE] : [])
  })
})

describe('validate says of a VM', () => {
  const network = (name: string, conf: object) =>
    JSON.stringify({
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name, namespace: 'tenant' },
      spec: { config: list([CALICO, { type: 'x-calico-route', ...conf }]) },
    })
  const machine = (first: object, second: object = { bridge: {} }) =>
    JSON.stringify({
      kind: 'VirtualMachine',
      metadata: { name: 'vm', namespace: 'tenant' },
      spec: {
        template: {
          metadata: { annotations: { 'v1.multus-cni.io/default-network': 'tenant/first' } },
          spec: {
            domain: {
              devices: {
                interfaces: [
                  { name: 'underlay', ...first },
                  { name: 'vpc', ...second },
                ],
              },
            },
            networks: [
              { name: 'underlay', pod: {} },
              { name: 'vpc', multus: { networkName: 'tenant/second' } },
            ],
          },
        },
      },
    })
  const second = JSON.stringify({
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name: 'second', namespace: 'tenant' },
    spec: { config: list([{ type: 'kube-ovn' }]) },
  })
  const said = async (conf: object, vm: string) =>
    await findings(`# VM\n${vm}\n---\n${network('first', conf)}\n---\n${second}\n`)
  const ANNOTATION = 'spec.template.metadata.annotations.v1.multus-cni.io/default-network'

  // printf vpc | sha256sum
  const VPC = 'pod38faba71b3a'

  it('that its second NIC is not called net1', async () => {
    const conf = (dev: string) => ({
      routes: [{ dst: '10.0.0.1/32', scope: 'link', dev }],
      ovnGateway: { ipv4: '10.0.1.1', dev },
    })
    expect(await said(conf('net1'), machine({ masquerade: {} }))).toEqual(
      ['routes[0].dev', 'ovnGateway.dev'].map((key) =>
        expect.stringContaining(
          `: network tenant/first names net1 in ${key}, but the NICs of this VM's pod are called eth0, ${VPC}; write one of these there`,
        ),
      ),
    )
    for (const dev of ['eth0', VPC]) expect(await said(conf(dev), machine({ masquerade: {} })), dev).toEqual([])
  })

  it('that with passt it gets no IPv4 where the default route is removed', async () => {
    const routes = [{ dst: '10.50.0.0/16' }]
    const warning = `warning: ${ANNOTATION}: with passt the guest gets no IPv4 unless its NIC has a default route, which network tenant/first removes; write "defaultRoute": "demote" there`
    for (const binding of [{ passt: {} }, { passtBinding: {} }, { binding: { name: 'passt' } }])
      expect(await said({ routes }, machine(binding))).toEqual([warning])
    for (const defaultRoute of ['demote', 'keep', { ipv4: 'demote' }])
      expect(await said({ routes, defaultRoute }, machine({ passt: {} }))).toEqual([])
    expect(await said({ routes }, machine({ masquerade: {} }, { passt: {} }))).toEqual([])
  })

  it('that its routes do not fit into option 121, link route included', async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ dst: `10.${i + 1}.0.0/16`, scope: 'link' }))
    const warnings = async (conf: object, vm = machine({ bridge: {} })) =>
      (await said(conf, vm)).filter((line) => line.startsWith('warning'))
    expect(await warnings({ routes: many(35) })).toEqual([])
    expect(await warnings({ routes: many(36) })).toEqual([
      'warning: plugins[1].routes: the 37 IPv4 routes that a VM gets take 261 bytes of DHCP option 121, the limit is 255; write fewer and wider prefixes in "routes"',
    ])
    expect(await warnings({ routes: many(36) }, machine({ masquerade: {} }))).toEqual([])
  })

  it('nothing of routes through an unused address that sorts first', async () => {
    const routes = [
      { dst: '10.0.0.1/32', scope: 'link' },
      { dst: '10.50.0.0/16', gw: '10.0.0.1' },
    ]
    expect(await said({ routes, kubevirt: true }, machine({ bridge: {} }))).toEqual([])
    expect(
      await said(
        { kubevirt: true, routes: [{ dst: '9.0.0.0/8', gw: '10.0.0.1' }, ...routes] },
        machine({ bridge: {} }),
      ),
    ).toEqual([
      expect.stringMatching(
        /^note: plugins\[1\]\.routes\[0\]: DHCP clients that apply routes in order refuse this one/,
      ),
    ])
  })
})
