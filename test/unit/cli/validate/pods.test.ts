import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { network, ours } from '../../../support/networks.ts'
import { codes, findings } from '../../../support/validate.ts'

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const FIRST = 'v1.multus-cni.io/default-network'
const AT = `metadata.annotations.${NETWORKS}`

const ETCD = { type: 'calico', datastore_type: 'etcdv3' }
const pod = (annotations: object, more: object = {}) => ({
  kind: 'Pod',
  metadata: { name: 'try', namespace: 'tenant', annotations },
  ...more,
})
const yaml = (...documents: object[]) => documents.map((one) => stringify(one, { lineWidth: 0 })).join('---\n')
const OTHER = network('other', { type: 'macvlan' })

describe('validate says of an annotation of Multus', () => {
  /** @param says about a part of JSON, it starts with the path of that */
  const refused = (says: string) => [`error: ${AT}${says.startsWith('[') ? '' : ': '}${says}`]

  it.each<[string, string, string[]]>([
    ['names', 'other, tenant/other@net1 , other', []],
    [
      'JSON',
      '[{"name": "other", "namespace": "tenant", "interface": "net1", "mac": "02:00:00:00:00:01", "ips": ["10.0.0.1/24", "fd00::1"], "default-route": ["10.0.0.1"], "cni-args": {"x": 1}, "Name": "other"}]',
      [],
    ],
    ['an empty list', '[]', []],
    ['the namespace of the pod, left empty', '/other@net1', []],
    [
      'what a template leaves empty',
      '[{"name": "other", "namespace": "", "interface": "", "mac": "", "ips": [], "default-route": null}]',
      [],
    ],
    [
      'all forms of Go',
      '[{"name": "other", "mac": "02-00-00-00-00-01", "ips": ["FD00::1/64", "::ffff:10.0.0.1"], "deviceID": "0000:03:02.0"}, {"name": "other", "mac": "0200.0000.0001"}]',
      [],
    ],
    [
      'forms that Go refuses',
      '[{"name": "other", "mac": "02:00-00:00:00:01", "ips": ["10.0.0.1/33"]}, {"name": "other", "ips": ["fe80::1%eth0"]}]',
      [
        ...refused('[0].mac: must be a MAC address, is "02:00-00:00:00:01", so Multus refuses the pod'),
        ...refused('[0].ips: must be a list of addresses, is ["10.0.0.1/33"], so Multus refuses the pod'),
        ...refused('[1].ips: must be a list of addresses, is ["fe80::1%eth0"], so Multus refuses the pod'),
      ],
    ],
    ['nothing', '', []],
    [
      'a list that does not end',
      '[{"name": "other"}',
      refused('not JSON: this "[" is never closed; add "]"; Multus refuses the pod'),
    ],
    [
      'an object, and no list of one',
      '{"name": "other"}',
      refused('must be a list of objects, so Multus refuses the pod; write [{"name": "NAME"}]'),
    ],
    [
      'a long interface in JSON',
      '[{"name": "other", "interface": "interface-number-1"}]',
      refused(
        '[0].interface: must be the name of an interface, at most 15 characters, is "interface-number-1", so Multus refuses the pod',
      ),
    ],
    [
      'a comma at the end',
      'other,',
      refused('a name is missing beside a comma, so Multus refuses the pod; remove the comma'),
    ],
    [
      'two slashes',
      'a/b/other',
      refused('"a/b/other" is not NAMESPACE/NAME@INTERFACE in lower case, so Multus refuses the pod'),
    ],
    [
      'capitals',
      'Other',
      [
        ...refused('"Other" is not NAMESPACE/NAME@INTERFACE in lower case, so Multus refuses the pod'),
        `warning: ${AT}: no NetworkAttachmentDefinition tenant/Other among the files; did you mean "tenant/other"?`,
      ],
    ],
    [
      'a long interface',
      'other@interface-number-1',
      refused(
        '"interface-number-1" is not the name of an interface, so Multus refuses the pod; write at most 15 characters',
      ),
    ],
    [
      'a name that is no object',
      '["other"]',
      refused('[0]: must be an object with "name", is "other", so Multus refuses the pod'),
    ],
    [
      'no name',
      '[{"namespace": "tenant"}]',
      refused('[0]: name: missing, so Multus refuses the pod; write the name of a network'),
    ],
    [
      'a namespace in the name',
      '[{"name": "tenant/other"}]',
      refused('[0].name: JSON has its own key for the namespace; write "namespace": "tenant", "name": "other"'),
    ],
    [
      'an address alone',
      '[{"name": "other", "ips": "10.0.0.1"}]',
      refused('[0].ips: must be a list of addresses, is "10.0.0.1", so Multus refuses the pod'),
    ],
    [
      'a MAC address that is none',
      '[{"name": "other", "mac": "02:00"}]',
      refused('[0].mac: must be a MAC address, is "02:00", so Multus refuses the pod'),
    ],
    [
      'a misspelt key',
      '[{"name": "other", "cni_args": {}}]',
      [`warning: ${AT}[0].cni_args: unknown key, which Multus ignores; did you mean "cni-args"?`],
    ],
    [
      'an unknown key',
      '[{"name": "other", "x-calico-route": {}}]',
      [`warning: ${AT}[0].x-calico-route: unknown key, which Multus ignores`],
    ],
  ])('%s', async (_, text, expected) => {
    expect(await findings(yaml(OTHER, pod({ [NETWORKS]: text })))).toEqual(expected)
  })

  it('that it names several first networks', async () => {
    expect(await findings(yaml(OTHER, pod({ [FIRST]: 'x/a,x/b' })))).toEqual([
      `error: metadata.annotations.${FIRST}: a pod can have only one first network, so Multus refuses it; name the others in ${NETWORKS}`,
    ])
  })

  it.each<[string, unknown, string]>([
    ['a list of YAML', ['other'], '["other"]'],
    ['an object', { name: 'other' }, '{"name":"other"}'],
    ['a number', 7, '7'],
  ])('that it is %s, and no string', async (_, written, shown) => {
    expect(await findings(yaml(OTHER, pod({ [NETWORKS]: written })))).toEqual(
      refused(
        `must be a string, is ${shown}, so the API server refuses the pod; write the list in quotes, or below "|"`,
      ),
    )
  })

  const template = (annotations: object) => ({ metadata: { annotations }, spec: {} })
  it.each<[string, object, string[]]>([
    ...['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'VirtualMachine'].map(
      (kind): [string, object, string[]] => [
        `of a ${kind} itself`,
        { ...pod({ [NETWORKS]: 'nowhere' }), kind, spec: { template: template({}) } },
        [`warning: ${AT}: Multus reads only the annotations of pods; move it into the template's metadata`],
      ],
    ),
    [
      'of the job of a CronJob',
      { kind: 'CronJob', spec: { jobTemplate: { ...template({ [FIRST]: 'x' }), spec: { template: template({}) } } } },
      [
        `warning: spec.jobTemplate.metadata.annotations.${FIRST}: Multus reads only the annotations of pods; move it into the template's metadata`,
      ],
    ],
    ['of the template', { ...pod({}), kind: 'Deployment', spec: { template: template({ [NETWORKS]: 'other' }) } }, []],
    [
      'of a pod in the network namespace of the node',
      {
        kind: 'DaemonSet',
        spec: { template: { ...template({ [NETWORKS]: 'nowhere' }), spec: { hostNetwork: true } } },
      },
      [`warning: spec.template.${AT}: Multus is not called for a pod with "hostNetwork: true"; remove one of them`],
    ],
    [
      'in the singular',
      pod({ 'k8s.v1.cni.cncf.io/network': 'other' }),
      [
        `warning: metadata.annotations.k8s.v1.cni.cncf.io/network: Multus does not know this annotation; did you mean "${NETWORKS}"?`,
      ],
    ],
    [
      'that Multus writes',
      pod({ 'k8s.v1.cni.cncf.io/network-status': '[]', 'k8s.v1.cni.cncf.io/networks-status': '[]' }),
      [],
    ],
  ])('%s, whether Multus reads it', async (_, workload, expected) => {
    expect(await findings(yaml(OTHER, workload))).toEqual(expected)
  })
})

describe('validate says of the networks of a pod', () => {
  const unknown = (name: string, hint: string) => [
    `warning: ${AT}: no NetworkAttachmentDefinition ${name} among the files; ${hint}`,
  ]
  it.each<[string, string, string[]]>([
    ['that is there', 'other', []],
    ['that is misspelt', 'othr', unknown('tenant/othr', 'did you mean "tenant/other"?')],
    ['of another namespace', 'elsewhere', unknown('tenant/elsewhere', 'did you mean "kube-system/elsewhere"?')],
    ['that is not there', 'storage', unknown('tenant/storage', 'write the name of one, or add it')],
    ['of a namespace that the files do not have', 'storage/storage', []],
  ])('one %s', async (_, text, expected) => {
    const elsewhere = { ...OTHER, metadata: { name: 'elsewhere', namespace: 'kube-system' } }
    expect(await findings(yaml(OTHER, elsewhere, pod({ [NETWORKS]: text })))).toEqual(expected)
  })

  const made = (kind: string, more: object = {}) => ({ kind, metadata: { name: 'storage' }, ...more })
  const written = (spec: object) => ({ ...network('storage'), spec })
  it.each<[string, object]>([
    ['whose configuration is on the node', written({})],
    ['whose configuration nobody can read', written({ config: '{' })],
    ...['SriovNetwork', 'MacvlanNetwork', 'UserDefinedNetwork', 'SpiderMultusConfig'].map((kind): [string, object] => [
      `that an operator makes of a ${kind}`,
      made(kind),
    ]),
    [
      'that OpenShift makes',
      made('Network', { metadata: { name: 'cluster' }, spec: { additionalNetworks: [{ name: 'storage' }] } }),
    ],
  ])('one %s is there', async (_, document) => {
    const found = await findings(yaml(OTHER, document, pod({ [NETWORKS]: 'storage' })))
    expect(found.filter((line) => line.includes('among the files'))).toEqual([])
  })

  const ofMultus = { kind: 'ConfigMap', metadata: { name: 'multus' } }
  const own = JSON.stringify({ multusNamespace: 'tenant' })
  const inFile = JSON.stringify({ cniVersion: '1.0.0', name: 'm', type: 'multus', multusNamespace: 'tenant' })
  it.each<[string, object[], string]>([
    ['where Multus has it by default', [], 'kube-system'],
    ['where the ConfigMap of its daemon has it', [{ ...ofMultus, data: { 'daemon-config.json': own } }], 'tenant'],
    ['where its configuration has it', [{ ...ofMultus, data: { 'cni-conf.json': inFile } }], 'tenant'],
    ['not where somebody else has it', [{ kind: 'Secret', data: { x: own } }], 'kube-system'],
    ['nor where it is not JSON', [{ ...ofMultus, data: { x: `${own},` } }], 'kube-system'],
  ])('a first one without namespace, %s', async (_, documents, namespace) => {
    const elsewhere = { ...OTHER, metadata: { name: 'elsewhere', namespace: 'kube-system' } }
    const found = await findings(yaml(OTHER, elsewhere, ...documents, pod({ [FIRST]: 'unheard-of' })))
    expect(found.filter((line) => line.includes('among the files'))).toEqual([
      `warning: metadata.annotations.${FIRST}: no NetworkAttachmentDefinition ${namespace}/unheard-of among the files; write the name of one, or add it`,
    ])
  })

  it('not of others of its name', async () => {
    expect(await findings(yaml(OTHER, made('Service'), pod({ [NETWORKS]: 'storage' })))).toEqual(
      unknown('tenant/storage', 'write the name of one, or add it'),
    )
  })

  const perPod = network('per-pod', ETCD, ours({ overrides: { allow: ['routes'], within: ['10.50.0.0/16'] } }))
  const withArgs = (args: object, name = 'per-pod') => JSON.stringify([{ name, namespace: 'tenant', 'cni-args': args }])
  it.each<[string, object, string[]]>([
    ['allowed', { routes: [{ dst: '10.50.31.0/24' }] }, []],
    ['of others', { colour: 1 }, []],
    [
      'outside',
      { routes: [{ dst: '10.60.0.0/16' }] },
      [
        `error: metadata.annotations.${FIRST}[0].cni-args.routes[0].dst: network tenant/per-pod: 10.60.0.0/16 is outside "overrides.within" (10.50.0.0/16)`,
      ],
    ],
    [
      'not allowed',
      { defaultRoute: 'keep' },
      [
        `error: metadata.annotations.${FIRST}[0].cni-args.defaultRoute: network tenant/per-pod: not in "overrides.allow" of the network configuration`,
      ],
    ],
    [
      'wrong',
      { routes: [{ dst: '10.50.0.1/16' }] },
      expect.arrayContaining([
        expect.stringContaining('cni-args.routes[0].dst: network tenant/per-pod: "10.50.0.1/16" has host bits set'),
      ]),
    ],
  ])('cni-args that are %s', async (_, args, expected) => {
    expect(await findings(yaml(perPod, pod({ [FIRST]: withArgs(args) })))).toEqual(expected)
  })

  it('where each stands', async () => {
    const text = yaml(OTHER, pod({ [FIRST]: 'storage/x', [NETWORKS]: 'othr,' }))
    const line = text.split('\n').findIndex((one) => one.includes(NETWORKS)) + 1
    const column = NETWORKS.length + 7
    expect(await codes(text)).toEqual([`${line}:${column} XCR501`, `${line}:${column} XCR502`])
  })
})
