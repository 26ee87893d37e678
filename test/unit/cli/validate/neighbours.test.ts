import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { EXAMPLES, textOf } from '../../../support/examples.ts'
import { findings, validate } from '../../../support/validate.ts'

/** What `validate` finds in documents of one file. */
const findingsOf = (...documents: (object | string)[]): Promise<string[]> =>
  findings(documents.map((one) => (typeof one === 'string' ? one : stringify(one))).join('---\n'))

const definition = (name: string, ...plugins: object[]) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name: name.split('/')[1] ?? name, ...(name.includes('/') ? { namespace: name.split('/')[0] } : {}) },
  spec: { config: JSON.stringify({ cniVersion: '0.3.1', name: 'net', plugins }) },
})
const ours = (more: object = {}) => ({ type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }], ...more })
const KUBERNETES = { type: 'calico', datastore_type: 'kubernetes' }
const ETCD = { type: 'calico', datastore_type: 'etcdv3', etcd_endpoints: 'https://10.50.0.5:2379' }
const OVN = { type: 'kube-ovn', provider: 'vpc-net.tenant.ovn' }
const MACVLAN = { type: 'macvlan', ipam: { type: 'kube-ovn', provider: 'outside.tenant' } }

const calico = (name = 'kube-system/calico', more: object = {}, plugin: object = KUBERNETES) =>
  definition(name, plugin, ours(more))
const demoting = definition('tenant/vpc-net', OVN, ours({ defaultRoute: 'demote' }))

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const FIRST = 'v1.multus-cni.io/default-network'
const pod = (annotations: object, namespace: string | undefined = 'tenant') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'try', namespace, annotations },
})

const NO_ANSWER =
  "with Calico's Kubernetes datastore no answer comes back, because Felix gives the node routes only to the addresses of the pod's first network"

/** As calico.yaml has it. */
const CLUSTER = JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', plugins: [KUBERNETES] })

describe('a network that demotes, for Calico to attach after it', () => {
  const warning = (name = 'kube-system/calico') =>
    `warning: plugins[1].defaultRoute: demote lets Calico (${name}) attach after this, but ${NO_ANSWER}; make Calico's network the pod's first`

  it.each<[string, object[], string[]]>([
    ['is warned of beside Calico on Kubernetes', [demoting, calico()], [warning()]],
    ['whichever stands first', [calico(), demoting], [warning()]],
    [
      'also of one family only',
      [definition('tenant/vpc-net', OVN, ours({ defaultRoute: { ipv6: 'demote' } })), calico()],
      [warning()],
    ],
    [
      'by the one that restores',
      [demoting, calico(), calico('kube-system/second', { ovnGateway: { ipv4: 'auto' } })],
      [warning('kube-system/second')],
    ],
    [
      'where nobody says which datastore',
      [demoting, calico('kube-system/calico', {}, { type: 'calico' })],
      [warning()],
    ],
    ['but not beside Calico on etcd', [demoting, calico('kube-system/calico', {}, ETCD)], []],
    [
      'nor where only etcd is told of',
      [demoting, calico('kube-system/calico', {}, { type: 'calico', etcd_endpoints: 'https://10.50.0.5:2379' })],
      [],
    ],
    [
      'nor where the one that restores is on etcd',
      [demoting, calico(), calico('kube-system/second', { ovnGateway: 'auto' }, ETCD)],
      [],
    ],
    ['nor by itself', [demoting], []],
    [
      'nor if the pods that have it have no Calico after it',
      [demoting, calico(), pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'vpc-net' })],
      [],
    ],
    [
      'but if one of them has',
      [demoting, calico(), pod({ [NETWORKS]: 'vpc-net' }), pod({ [NETWORKS]: 'vpc-net,kube-system/calico' })],
      expect.arrayContaining([warning()]),
    ],
    [
      'nor by the network of the cluster, which is first everywhere',
      [demoting, { kind: 'ConfigMap', data: { cni: CLUSTER } }],
      [],
    ],
    ['nor if it is Calico’s own', [calico('kube-system/calico', { defaultRoute: 'demote' })], []],
    ['nor if it does not demote', [definition('tenant/vpc-net', OVN, ours()), calico()], []],
  ])('%s', async (_, documents, expected) => {
    expect(await findingsOf(...documents)).toEqual(expected)
  })

  it('is told of in the file where it stands', async () => {
    const text = ['kube-ovn-first.yaml', 'calico-underlay.yaml'].map(textOf).join('---\n')
    const [line] = await findingsOf(text)
    expect(line).toBe(warning('kube-system/calico-underlay'))
  })
})

describe('one pod with two Calico NICs', () => {
  const second = calico('tenant/more')
  const error = (path: string, first = 'kube-system/calico', other = 'tenant/more') =>
    `error: ${path}: a pod can have only one Calico NIC: when Calico adds that of ${other}, it deletes that of ${first}; remove one of them`
  const both = { [FIRST]: 'kube-system/calico', [NETWORKS]: 'tenant/vpc-net, tenant/more@eth5' }
  const networks = [
    { name: 'a', multus: { default: true, networkName: 'kube-system/calico' } },
    { name: 'b', multus: { networkName: 'more' } },
  ]

  it.each<[string, object, string[]]>([
    ['by names', pod(both), [error(`metadata.annotations.${NETWORKS}`)]],
    [
      'by JSON',
      pod({
        [FIRST]: '[{"name": "calico", "namespace": "kube-system", "cni-args": {}}]',
        [NETWORKS]: '[{"name": "vpc-net"}, {"name": "more"}]',
      }),
      [error(`metadata.annotations.${NETWORKS}[1].name`)],
    ],
    [
      'by names without namespace, in the places where Multus looks for them',
      pod({ [FIRST]: 'calico', [NETWORKS]: 'more' }),
      [error(`metadata.annotations.${NETWORKS}`)],
    ],
    [
      'of a namespace that is told to kubectl only',
      {
        ...pod({ [FIRST]: 'calico', [NETWORKS]: 'more' }),
        metadata: { annotations: { [FIRST]: 'calico', [NETWORKS]: 'more' } },
      },
      [error(`metadata.annotations.${NETWORKS}`)],
    ],
    [
      'the same one twice',
      pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'kube-system/calico' }),
      [error(`metadata.annotations.${NETWORKS}`, 'kube-system/calico', 'kube-system/calico')],
    ],
    ...['Deployment', 'DaemonSet', 'StatefulSet', 'Job'].map((kind): [string, object, string[]] => [
      `of a ${kind}`,
      { kind, metadata: { namespace: 'tenant' }, spec: { template: { metadata: { annotations: both } } } },
      [error(`spec.template.metadata.annotations.${NETWORKS}`)],
    ]),
    [
      'of a CronJob',
      {
        kind: 'CronJob',
        metadata: { namespace: 'tenant' },
        spec: { jobTemplate: { spec: { template: { metadata: { annotations: both } } } } },
      },
      [error(`spec.jobTemplate.spec.template.metadata.annotations.${NETWORKS}`)],
    ],
    [
      'of a VirtualMachine',
      { kind: 'VirtualMachine', metadata: { namespace: 'tenant' }, spec: { template: { spec: { networks } } } },
      [error('spec.template.spec.networks[1].multus.networkName')],
    ],
    [
      'of a VirtualMachineInstance',
      { kind: 'VirtualMachineInstance', metadata: { namespace: 'tenant' }, spec: { networks } },
      [error('spec.networks[1].multus.networkName')],
    ],
    [
      'of a VirtualMachine whose first network is the last in the list',
      {
        kind: 'VirtualMachine',
        metadata: { namespace: 'tenant' },
        spec: { template: { spec: { networks: [{ name: 'p', pod: {} }, ...networks.toReversed()] } } },
      },
      [error('spec.template.spec.networks[1].multus.networkName')],
    ],
    [
      'of a pod in a list',
      { kind: 'List', items: [pod(both)] },
      [error(`items[0].metadata.annotations.${NETWORKS}`).replace('items[0].', '')],
    ],
  ])('is refused: %s', async (_, workload, expected) => {
    expect(
      (await findingsOf(calico(), second, demoted(), workload)).filter((line) => line.startsWith('error')),
    ).toEqual(expected)
  })

  it('is refused at the line of the annotation', async () => {
    const text = [calico(), second, pod(both)].map((one) => stringify(one)).join('---\n')
    const { status, lines } = await validate(text)
    expect(status).toBe(1)
    const line = text.split('\n').findIndex((one) => one.includes(NETWORKS)) + 1
    expect(lines.join('\n')).toContain(`stdin:${line}:`)
  })

  it.each<[string, object]>([
    ['with one', pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'tenant/vpc-net' })],
    ['with one of another namespace', pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'other/more' })],
    ['whose networks are not among the files', pod({ [FIRST]: 'x', [NETWORKS]: 'tenant/y, tenant/more' })],
    ['without networks', pod({})],
    ['without annotations', { kind: 'Pod', metadata: {} }],
    ['that is none', { kind: 'Pod', metadata: [], spec: 7 }],
  ])('is not seen in a pod %s', async (_, workload) => {
    const lines = await findingsOf(calico(), second, workload)
    expect(lines.filter((line) => !/: no NetworkAttachmentDefinition [\w/-]+ among the files; /.test(line))).toEqual([])
  })

  it('is not seen in a file of the node by the name of a network', async () => {
    const file = { cniVersion: '1.0.0', name: 'more', plugins: [KUBERNETES] }
    const list = { kind: 'List', items: [calico(), file, pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'more' })] }
    expect(await findingsOf(JSON.stringify(list))).toEqual([])
  })

  const advice = `Calico deletes its NIC when it adds that of tenant/more; make tenant/more the pod's first network (v1.multus-cni.io/default-network; for a VM "default: true")`

  it('may come of the cluster’s default network: noted where that is not known', async () => {
    expect(await findingsOf(second, pod({ [NETWORKS]: 'more' }))).toEqual([
      `note: metadata.annotations.${NETWORKS}: if the pod's first network, the cluster's, is Calico's too, ${advice}`,
    ])
  })

  it('and warned of where it is', async () => {
    const config = JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', plugins: [KUBERNETES] })
    const list = { kind: 'List', items: [JSON.parse(config), second, pod({ [NETWORKS]: 'more' })] }
    expect(await findingsOf(JSON.stringify(list))).toEqual([
      `warning: metadata.annotations.${NETWORKS}: the pod's first network, k8s-pod-network, is Calico's too, and ${advice}`,
    ])
  })

  it.each(['[{"name": ', '{"name": "calico"}', '"calico"'])(
    'is not found in %s, which Multus refuses',
    async (text) => {
      expect(await findingsOf(calico(), pod({ [NETWORKS]: text }))).toEqual([
        expect.stringMatching(
          /^error: metadata\.annotations\.\S+: (?:not JSON|must be a list of objects)\b.* Multus refuses the pod/,
        ),
      ])
    },
  )

  it('is refused of a chain with calico twice', async () => {
    expect(await findingsOf(definition('a/b', KUBERNETES, ours(), KUBERNETES))).toEqual([
      'error: plugins[2]: calico is already plugins[0], and a pod can have only one Calico NIC; remove one of them',
    ])
  })

  it('is refused of a Multus configuration with calico in two delegates', async () => {
    const delegates = [{ plugins: [KUBERNETES] }, { type: 'kube-ovn' }, KUBERNETES]
    const lines = await findingsOf(JSON.stringify({ cniVersion: '1.0.0', name: 'multus', type: 'multus', delegates }))
    expect(lines).toContain(
      'error: delegates[2]: is the second Calico network of the same pod, which can have only one Calico NIC; remove one of them',
    )
  })
})

/** A network of Kube-OVN that nothing is said of. */
function demoted() {
  return definition('tenant/vpc-net', OVN)
}

describe('Calico’s NIC that is not the first', () => {
  const etcd = calico('kube-system/calico', {}, ETCD)
  const first = definition('tenant/vpc-net', OVN, ours())
  const asking = pod({ [FIRST]: 'tenant/vpc-net', [NETWORKS]: 'kube-system/calico' })

  it('is warned of in a pod, with Calico on Kubernetes', async () => {
    expect(await findingsOf(first, calico(), asking)).toEqual([
      `warning: metadata.annotations.${NETWORKS}: ${NO_ANSWER}; make kube-system/calico the pod's first network`,
    ])
    expect(await findingsOf(first, etcd, asking)).toEqual([])
  })
})

describe('a gateway that Kube-OVN reports only to who asks for it', () => {
  const OF_OUTSIDE = 'outside.tenant.kubernetes.io/default_route'
  const OF_VPC = 'vpc-net.tenant.ovn.kubernetes.io/default_route'
  const note = (path: string, annotation: string, more = '') =>
    `note: ${path}: Kube-OVN reports a gateway, which the default route needs, only for pods with the annotation ${annotation}: "true"${more}`
  const outside = definition('tenant/outside', MACVLAN)
  const auto = definition('tenant/vpc-net', OVN, ours({ ovnGateway: 'auto' }))

  it.each<[string, object[], string[]]>([
    ['is noted where Calico’s default is taken away', [calico(), outside], [note('plugins[0].ipam', OF_OUTSIDE)]],
    [
      'also of one family only',
      [calico('kube-system/calico', { defaultRoute: { ipv4: 'keep' } }), outside],
      [note('plugins[0].ipam', OF_OUTSIDE)],
    ],
    ['not where it stays', [calico('kube-system/calico', { defaultRoute: 'keep' }), outside], []],
    ['not where nobody has ours', [definition('kube-system/calico', KUBERNETES), outside], []],
    [
      'is noted where ovnGateway looks for it',
      [definition('tenant/outside', MACVLAN, ours({ ovnGateway: { ipv6: 'auto' } }))],
      [note('plugins[1].ovnGateway', OF_OUTSIDE)],
    ],
    [
      'also behind Kube-OVN’s own NIC',
      [auto],
      [note('plugins[1].ovnGateway', OF_VPC, ' or with this as their first network')],
    ],
    ['not where it is Kube-OVN’s own first NIC whose default goes', [definition('a/b', OVN, ours()), outside], []],
    ['not where it is written down', [definition('tenant/vpc-net', OVN, ours({ ovnGateway: '10.0.1.1' }))], []],
    [
      'not where addresses come from elsewhere',
      [calico(), definition('a/b', { ...MACVLAN, ipam: { type: 'dhcp' } })],
      [],
    ],
    ['not of a pod that asks for it', [calico(), outside, pod({ [NETWORKS]: 'outside', [OF_OUTSIDE]: 'true' })], []],
  ])('%s', async (_, documents, expected) => {
    expect(await findingsOf(...documents)).toEqual(expected)
  })

  const missing = (path: string, annotation: string) =>
    `warning: ${path}: Kube-OVN reports no gateway for this NIC, so it gets no default route; add the annotation ${annotation}: "true"`

  it.each<[string, object[], string[]]>([
    [
      'does not ask',
      [calico(), outside, pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'outside' })],
      [missing(`metadata.annotations.${NETWORKS}`, OF_OUTSIDE)],
    ],
    [
      'has Kube-OVN’s NIC, but not first',
      [auto, pod({ [FIRST]: 'kube-system/calico', [NETWORKS]: 'vpc-net' })],
      [missing(`metadata.annotations.${NETWORKS}`, OF_VPC)],
    ],
    [
      'asks not to have it',
      [auto, pod({ [FIRST]: 'tenant/vpc-net', [OF_VPC]: 'false' })],
      [missing(`metadata.annotations.${OF_VPC}`, OF_VPC)],
    ],
    ['has Kube-OVN’s NIC first, and need not ask', [auto, pod({ [FIRST]: 'tenant/vpc-net' })], []],
  ])('is looked for in a pod that %s', async (_, documents, expected) => {
    expect(await findingsOf(...documents)).toEqual(expected)
  })
})

it('the examples are said nothing of that is not right', async () => {
  const files = EXAMPLES.filter((file) => /\.yaml$/.test(file) && !file.startsWith('cloud-init'))
  const lines = await findingsOf(files.map(textOf).join('---\n'))
  expect(lines.filter((line) => !line.startsWith('note: '))).toEqual([])
})
