import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { CODES, type FindingCode } from '../../../../src/cli/validate/codes.ts'
import { codes, OURS as ENTRY, list } from '../../../support/validate.ts'

const CALICO = { type: 'calico', ipam: { type: 'calico-ipam' } }
const OVN = { type: 'kube-ovn', provider: 'vpc.a.ovn' }
const ours = (more: object = {}) => ({ ...ENTRY, ...more })
const ofOurs = (more: object) => list([CALICO, ours(more)])
const yaml = (...documents: object[]) => documents.map((one) => stringify(one, { lineWidth: 0 })).join('---\n')
const nad = (name: string, ...plugins: object[]) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name, namespace: 'a' },
  spec: { config: list(plugins) },
})
const FIRST = 'v1.multus-cni.io/default-network'
const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const pod = (annotations: object, more: object = {}) => ({
  kind: 'Pod',
  metadata: { namespace: 'a', annotations },
  ...more,
})
const subnet = (more: object = {}) => ({
  apiVersion: 'kubeovn.io/v1',
  kind: 'Subnet',
  metadata: { name: 's' },
  spec: { vpc: 'v', provider: 'vpc.a.ovn', cidrBlock: '10.0.1.0/24', ...more },
})
const set = (text: string) =>
  yaml({ kind: 'ConfigMap', metadata: { name: 'x-calico-route-sets' }, data: { underlay: text } })
const nic = (binding: object, more: object = {}) => ({
  kind: 'VirtualMachineInstance',
  metadata: {
    namespace: 'a',
    annotations: {
      'vpc.a.ovn.kubernetes.io/default_route': 'true',
      'vpc.a.ovn.kubernetes.io/mac_address': '02:00:00:00:00:02',
    },
  },
  spec: {
    domain: { devices: { interfaces: [{ name: 'n', ...binding }] } },
    networks: [{ name: 'n', multus: { networkName: 'vpc' } }],
    ...more,
  },
})
const KUBEVIRT = { kubevirt: true }
const OTHER = nad('other', { type: 'macvlan' })

/** The least that each is found in. */
const LEAST: Readonly<Record<FindingCode, string>> = {
  XCR001: ofOurs({ defaultRoute: 'no' }),
  XCR010: ' ',
  XCR011: '{"a": }',
  XCR012: 'a: *b',
  XCR013: 'name: {{ a }}\nb: [\n',
  XCR014: `\uFEFF${list([CALICO])}`,
  XCR015: list([CALICO]).replace('"name"', '"name": "x", "name"'),
  XCR016: 'plugins: []',
  XCR017: yaml({ ...OTHER, apiVersion: 'v1' }),
  XCR018: yaml({ ...OTHER, spec: {} }),
  XCR019: `${set('10.50.0.1/16\n')}---\n${yaml(OTHER)}`,
  XCR020: `# x-calico-route: ignore XCR205\n${yaml(OTHER)}`,
  XCR021: yaml({ kind: 'Template', objects: [nad('n', CALICO, ours({ logFile: '${LOG}' }))] }),
  XCR101: list([CALICO, {}]),
  XCR102: list([CALICO, { type: 'x-calico-rout' }]),
  XCR103: list([ENTRY]),
  XCR104: JSON.stringify({ cniVersion: '1.0.0', name: 'n', ...ENTRY }),
  XCR105: list([CALICO, ENTRY], { routes: [] }),
  XCR106: list([CALICO, ENTRY, ENTRY]),
  XCR107: list([CALICO, ENTRY, { type: 'sbr' }]),
  XCR108: list([CALICO, ENTRY], { cniVersion: '1.1.0' }),
  XCR109: list([CALICO, ENTRY], { disableCheck: true }),
  XCR110: list([{ type: 'tuning' }, CALICO, ENTRY]),
  XCR111: list([
    OVN,
    ours({ routes: [{ dst: 'fd00::/64' }] }),
    { type: 'tuning', sysctl: { 'net.ipv6.conf.all.disable_ipv6': '1' } },
  ]),
  XCR201: ofOurs({ colour: 1 }),
  XCR202: ofOurs({ capabilities: { mac: true } }),
  XCR203: ofOurs({ overrides: { allow: ['routes'] } }),
  XCR204: ofOurs({ ...KUBEVIRT, routes: [], overrides: { allow: ['dryRun'] }, defaultRoute: 'keep' }),
  XCR205: list([OVN, ours({ routes: [{ dst: 'fd00::/64', scope: 'site' }] })]),
  XCR206: ofOurs({ routes: [{ dst: '10.50.0.0/16' }, { dst: '10.50.1.0/24' }] }),
  XCR207: ofOurs({ overrides: { allow: ['routes'], within: ['10.50.0.0/16', '10.50.1.0/24'] } }),
  XCR208: ofOurs({ routes: [] }),
  XCR209: ofOurs({ routes: [{ set: 'underlay' }] }),
  XCR301: list([CALICO, ENTRY, CALICO]),
  XCR302: JSON.stringify({
    kind: 'List',
    items: [JSON.parse(list([CALICO])), nad('c', CALICO), pod({ [NETWORKS]: 'c' })],
  }),
  XCR303: yaml(nad('c', CALICO), pod({ [NETWORKS]: 'c' })),
  XCR304: yaml(nad('c', CALICO), nad('vpc', OVN, ours({ defaultRoute: 'demote' }))),
  XCR305: yaml(nad('c', CALICO), nad('o', OVN, ENTRY), pod({ [FIRST]: 'a/o', [NETWORKS]: 'c' })),
  XCR306: list([{ ...CALICO, ipam: { assign_ipv6: true } }]),
  XCR307: list([{ ...CALICO, ipam: { assign_ipv6: 'yes' } }]),
  XCR308: ofOurs({ routes: [{ dst: 'fd00::/64' }] }),
  XCR309: yaml(
    nad('c', CALICO, ours({ routes: [{ dst: 'fd00::/64' }] })),
    pod({ [FIRST]: 'a/c', 'cni.projectcalico.org/ipFamilies': '["IPv6"]' }),
  ),
  XCR310: list([{ ...CALICO, ipam: { type: 'calico-ipam', routes: [{ dst: '10.0.0.0/8' }] } }, ENTRY]),
  XCR311: list([{ ...CALICO, ipam: { type: 'host-local', routes: [{ dst: '10.0.0.0/8' }] } }, ENTRY]),
  XCR312: yaml(
    nad('c', { ...CALICO, datastore_type: 'etcdv3' }),
    nad('o', OVN),
    pod({ [FIRST]: 'a/o', [NETWORKS]: 'c' }),
  ),
  XCR401: list([OVN, ours({ ovnGateway: 'auto' })]),
  XCR402: yaml(nad('vpc', OVN, ours({ ovnGateway: 'auto' })), pod({ [NETWORKS]: 'vpc' })),
  XCR403: yaml(OTHER, pod({ [NETWORKS]: 'other', 'x.y.ovn.kubernetes.io/ip_address': '10.0.1.5' })),
  XCR404: yaml(OTHER, subnet({ gateway: '10.0.2.1' })),
  XCR405: yaml(
    nad('c', CALICO, ours({ routes: [{ dst: '10.0.1.0/24' }] })),
    nad('vpc', OVN),
    subnet(),
    pod({ [FIRST]: 'a/c', [NETWORKS]: 'vpc' }),
  ),
  XCR406: yaml(nad('vpc', OVN, ours({ ovnGateway: '10.0.2.1' })), subnet()),
  XCR407: yaml(
    nad('vpc', OVN),
    subnet({ provider: 'x' }),
    pod({ [NETWORKS]: 'vpc', 'vpc.a.ovn.kubernetes.io/logical_switch': 's' }),
  ),
  XCR501: yaml(OTHER, pod({ [NETWORKS]: '[' })),
  XCR502: yaml(OTHER, pod({ [NETWORKS]: 'x' })),
  XCR503: yaml(
    nad('c', CALICO, ENTRY),
    pod({ [FIRST]: '[{"name": "c", "namespace": "a", "cni-args": {"routes": []}}]' }),
  ),
  XCR504: yaml(OTHER, pod({ [NETWORKS]: 'other' }, { kind: 'Job', spec: { template: {} } })),
  XCR505: yaml(OTHER, pod({ [NETWORKS]: '[{"name": "other", "x": 1}]' })),
  XCR506: yaml(
    nad('c', CALICO),
    nad('vpc', OVN),
    pod({ [FIRST]: 'a/c', [NETWORKS]: 'vpc', 'vpc.a.ovn.kubernetes.io/default_route': 'true' }),
  ),
  XCR601: list([OVN, ours({ ...KUBEVIRT, defaultRoute: 'demote' })]),
  XCR602: list([OVN, ours({ ...KUBEVIRT, routes: Array.from({ length: 40 }, (_, i) => ({ dst: `10.${i}.0.0/16` })) })]),
  XCR603: list([OVN, ours({ ...KUBEVIRT, routes: [{ dst: 'fd00::/64' }] })]),
  XCR604: list([OVN, ours({ ...KUBEVIRT, routes: [{ dst: '10.0.0.0/8', table: 100 }] })]),
  XCR605: list([OVN, ours({ ...KUBEVIRT, routes: [{ dst: '10.0.0.0/8', scope: 'link' }] })]),
  XCR606: yaml(nad('vpc', OVN, ours({ ovnGateway: { ipv4: '10.0.1.1', dev: 'net1' } })), nic({ masquerade: {} })),
  XCR607: yaml(nad('vpc', OVN, ENTRY), nic({ passt: {} })),
  XCR608: yaml(
    nad('vpc', OVN),
    nic({}, { volumes: [{ cloudInitNoCloud: { networkData: 'config: [{mac_address: "02:00:00:00:00:03"}]' } }] }),
  ),
  XCR609: yaml(nad('vpc', OVN), nic({ bridge: {}, macAddress: '02:00:00:00:00:01' })),
  XCR610: yaml(nad('vpc', OVN, ours({ ...KUBEVIRT, routes: [], defaultRoute: 'keep' })), nic({ masquerade: {} })),
}

describe('of each code, the least that it is found in', () => {
  it.each(Object.entries(LEAST))('has %s, at a place, and nothing else', async (code, text) => {
    const found = await codes(text)
    expect(found).toEqual([expect.stringMatching(new RegExp(`^(?:\\d+:\\d+ )?${code}$`))])
    // What is about a whole file has no place in it.
    expect(/^\d/.test(found[0] ?? '')).toBe(code !== 'XCR010')
  })

  it('is there for all', () => {
    expect(Object.keys(LEAST)).toEqual(Object.keys(CODES))
  })
})
