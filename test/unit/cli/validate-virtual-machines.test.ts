import { describe, expect, it } from 'vitest'
import { CALICO, findings, list, OURS } from '../../support/validate.ts'

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
    expect(await findings(`# machine\n${machine}\n---\n${network}\n`)).toEqual(told ? [NOTE] : [])
    expect(await findings(`# network\n${network}\n---\n${machine}\n`)).toEqual(told ? [NOTE] : [])
  })
})
