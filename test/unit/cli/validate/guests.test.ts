import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { codes, findings } from '../../../support/validate.ts'

const network = (name: string, ...plugins: object[]) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name, namespace: 'tenant' },
  spec: { config: JSON.stringify({ cniVersion: '0.3.1', name, plugins }) },
})
const ours = (more: object = {}) => ({ type: 'x-calico-route', kubevirt: true, ovnGateway: 'auto', ...more })
const OVN = { type: 'kube-ovn', provider: 'vpc.tenant.ovn' }
const yaml = (...documents: object[]) => documents.map((one) => stringify(one, { lineWidth: 0 })).join('---\n')

interface Machine {
  readonly binding?: object
  readonly mac?: string
  readonly annotations?: object
  readonly source?: object
}

const machine = ({ binding = { bridge: {} }, mac = '02:00:0A:00:01:0b', annotations = {}, source = {} }: Machine) => ({
  kind: 'VirtualMachine',
  metadata: { name: 'vm', namespace: 'tenant' },
  spec: {
    template: {
      metadata: { annotations: { 'vpc.tenant.ovn.kubernetes.io/default_route': 'true', ...annotations } },
      spec: {
        domain: { devices: { interfaces: [{ name: 'vpc', macAddress: mac, ...binding }] } },
        networks: [{ name: 'vpc', multus: { networkName: 'vpc' } }],
        volumes: [{ name: 'cloud-init', ...source }],
      },
    },
  },
})

const V1 = (mac: string) => stringify({ version: 1, config: [{ type: 'physical', name: 'eth0', mac_address: mac }] })
const V2 = (mac: string) => stringify({ version: 2, ethernets: { vpc: { match: { macaddress: mac } } } })
const RIGHT = '02:00:0a:00:01:0b'
const WRONG = '02:00:0a:00:01:0c'
const base64 = (text: string) => Buffer.from(text).toString('base64')
const secret = (keys: object, namespace = 'tenant') => ({
  kind: 'Secret',
  metadata: { name: 'net', namespace },
  ...keys,
})
const ofSecret = { cloudInitNoCloud: { networkDataSecretRef: { name: 'net' } } }

describe('validate says of cloud-init', () => {
  const at = (key: string) => [
    `warning: spec.template.spec.volumes[0].${key}: cloud-init looks for ${WRONG}, which no interface of this VM has; write it as the "macAddress" of one`,
  ]
  it.each<[string, object[], string[]]>([
    [
      'version 2',
      [machine({ source: { cloudInitNoCloud: { networkData: V2(WRONG) } } })],
      at('cloudInitNoCloud.networkData'),
    ],
    [
      'version 1',
      [machine({ source: { cloudInitConfigDrive: { networkData: V1(WRONG) } } })],
      at('cloudInitConfigDrive.networkData'),
    ],
    [
      'below "network"',
      [
        machine({
          source: {
            cloudInitNoCloud: { networkData: stringify({ network: { version: 1, config: [{ mac_address: WRONG }] } }) },
          },
        }),
      ],
      at('cloudInitNoCloud.networkData'),
    ],
    [
      'in base64',
      [machine({ source: { cloudInitNoCloud: { networkDataBase64: base64(V2(WRONG)) } } })],
      at('cloudInitNoCloud.networkDataBase64'),
    ],
    [
      'in a Secret',
      [secret({ stringData: { networkdata: V2(WRONG) } }), machine({ source: ofSecret })],
      at('cloudInitNoCloud.networkDataSecretRef.name'),
    ],
    [
      'in a Secret in base64',
      [secret({ data: { networkdata: base64(V2(WRONG)) } }), machine({ source: ofSecret })],
      at('cloudInitNoCloud.networkDataSecretRef.name'),
    ],
    [
      'in a Secret of another namespace',
      [secret({ stringData: { networkdata: V2(WRONG) } }, 'other'), machine({ source: ofSecret })],
      [],
    ],
    [
      'the address of the interface',
      [machine({ source: { cloudInitNoCloud: { networkData: V2(RIGHT) + V1(RIGHT).slice(0, 0) } } })],
      [],
    ],
    [
      'the address of the interface, with hyphens',
      [machine({ mac: RIGHT.replaceAll(':', '-'), source: { cloudInitNoCloud: { networkData: V2(RIGHT) } } })],
      [],
    ],
    [
      'an address that Calico or Kube-OVN gives the NIC of the pod',
      [
        machine({
          annotations: { 'cni.projectcalico.org/hwAddr': WRONG },
          source: { cloudInitNoCloud: { networkData: V2(WRONG.toUpperCase()) } },
        }),
      ],
      [],
    ],
    ['no address', [machine({ source: { cloudInitNoCloud: { networkData: 'version: 2\n' } } })], []],
    ['nothing that is YAML', [machine({ source: { cloudInitNoCloud: { networkData: '[' } } })], []],
  ])('%s', async (_, documents, expected) => {
    expect(await findings(yaml(network('vpc', OVN, ours()), ...documents))).toEqual(expected)
  })

  it('not an address that tuning sets', async () => {
    const tuning = { type: 'tuning', mac: WRONG }
    const vm = machine({ source: { cloudInitNoCloud: { networkData: V2(WRONG) } } })
    expect(await findings(yaml(network('vpc', OVN, ours(), tuning), vm))).toEqual([])
  })

  it('where it stands', async () => {
    const text = yaml(
      network('vpc', OVN, ours()),
      machine({ source: { cloudInitNoCloud: { networkDataBase64: base64(V2(WRONG)) } } }),
    )
    const lines = text.split('\n')
    const line = lines.findIndex((one) => one.includes('networkDataBase64'))
    expect(await codes(text)).toEqual([`${line + 1}:${(lines[line] ?? '').indexOf(': ') + 3} XCR608`])
  })
})

describe('validate says of a NIC of a VM', () => {
  const key = 'vpc.tenant.ovn.kubernetes.io/mac_address'
  const AT = 'spec.template.spec.networks[0].multus.networkName'
  it.each<[string, object, object, string[]]>([
    ['Kube-OVN’s own address', ours(), { annotations: { [key]: RIGHT } }, []],
    ['that address with hyphens', ours(), { annotations: { [key]: RIGHT.replaceAll(':', '-') } }, []],
    [
      'another address of Kube-OVN, which masquerade leaves to the NIC of the pod',
      ours({ kubevirt: false }),
      { binding: { masquerade: {} }, annotations: { [key]: WRONG } },
      [],
    ],
    [
      'another address of Kube-OVN',
      ours(),
      { annotations: { [key]: WRONG } },
      [
        `warning: spec.template.metadata.annotations.${key}: ${WRONG} is not the "macAddress" of the VM's interface, ${RIGHT}; write the same in both`,
      ],
    ],
    [
      'the bridge binding, which the network is not made for',
      { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }] },
      {},
      [
        expect.stringContaining(
          `note: ${AT}: the bridge binding hands the routes of network tenant/vpc to the VM; write "kubevirt": true there, so that ADD refuses what it cannot hand over`,
        ),
      ],
    ],
    [
      'masquerade, which the network is not made for',
      ours(),
      { binding: { masquerade: {} } },
      [
        `note: ${AT}: "kubevirt": true in network tenant/vpc is for the bridge binding, which this NIC does not have; remove it there`,
      ],
    ],
    ['masquerade', ours({ kubevirt: false }), { binding: { masquerade: {} } }, []],
    ['a network with a gateway', ours({ kubevirt: false }), {}, []],
  ])('%s', async (_, entry, more, expected) => {
    expect(await findings(yaml(network('vpc', OVN, entry), machine(more)))).toEqual(expected)
  })
})
