import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { codes, findings, list } from '../../../support/validate.ts'

const V6 = { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48' }] }
const V4 = { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }] }
const calico = (ipam: object = {}, more: object = {}) => ({
  type: 'calico',
  ipam: { type: 'calico-ipam', ...ipam },
  ...more,
})

describe('validate says of Calico’s IPAM', () => {
  const BOOLEAN = 'error: plugins[0].ipam.assign_ipv6: must be a string, is true; write "true"'
  const NONE = (family: number, path: string) =>
    `warning: ${path}: Calico assigns no IPv${family} address, except to pods with the annotation cni.projectcalico.org/ipFamilies, so ADD refuses other pods; write "assign_ipv${family}": "true" in Calico's "ipam", or "missingFamily": "skip" here`

  it.each<[string, string, string[]]>([
    ['true without quotes', list([calico({ assign_ipv6: true }), V4]), [BOOLEAN]],
    ['the same without x-calico-route', list([calico({ assign_ipv6: true })]), [BOOLEAN]],
    [
      'false without quotes',
      list([calico({ assign_ipv4: false })]),
      ['error: plugins[0].ipam.assign_ipv4: must be a string, is false; write "false"'],
    ],
    [
      'words that it does not know',
      list([calico({ assign_ipv4: 'no', assign_ipv6: 'True' }), V4]),
      [
        'warning: plugins[0].ipam.assign_ipv4: Calico knows only "true" and "false" here: with "no" it always assigns an IPv4 address; write one of these',
        'warning: plugins[0].ipam.assign_ipv6: Calico knows only "true" and "false" here: with "True" it never assigns an IPv6 address; write one of these',
      ],
    ],
    ['both families', list([calico({ assign_ipv4: 'true', assign_ipv6: 'true' }), V6]), []],
    ['null', list([calico({ assign_ipv6: null }), V4]), []],
    ['the same keys elsewhere', list([{ type: 'ptp', ipam: { type: 'x', assign_ipv6: true } }, V4]), []],
    ['no IPv6, and a route of it', list([calico(), V6]), [NONE(6, 'plugins[1].routes[1]')]],
    [
      'no IPv6, and a gateway of it',
      list([calico(), { ...V4, ovnGateway: { ipv6: 'fd00::1' } }]),
      [NONE(6, 'plugins[1].ovnGateway.ipv6')],
    ],
    [
      'no IPv4, and a route of it',
      list([calico({ assign_ipv4: 'false', assign_ipv6: 'true' }), V6]),
      [NONE(4, 'plugins[1].routes[0]')],
    ],
    ['no IPv6, which is skipped', list([calico(), { ...V6, missingFamily: 'skip' }]), []],
    [
      'no IPv6, and a route by another NIC',
      list([calico(), { ...V4, routes: [{ dst: 'fd00::/64', dev: 'net1', gw: 'fd01::1' }] }]),
      [],
    ],
    ['another IPAM', list([{ type: 'calico', ipam: { type: 'host-local' } }, V6]), []],
    [
      'routes that it ignores',
      list([calico({ routes: [{ dst: '10.50.0.0/16' }] }), V4]),
      [
        'warning: plugins[0].ipam.routes: ignored: with calico-ipam Calico makes only a default route; write these in "routes" of x-calico-route',
      ],
    ],
    ['routes in a list without ours', list([calico({ routes: [{ dst: '10.50.0.0/16' }] })]), []],
    ['no routes', list([calico({ routes: [] }), V4]), []],
    [
      'routes in place of a default route',
      list([calico({ type: 'host-local', routes: [{ dst: '10.50.0.0/16' }] }), V4]),
      [
        'note: plugins[0].ipam.routes: Calico makes these routes in place of a default route, and x-calico-route leaves them; write them in "routes" of x-calico-route',
      ],
    ],
    [
      'routes beside a default route',
      list([calico({ type: 'host-local', routes: [{ dst: '10.50.0.0/16' }, { dst: '0.0.0.0/0' }] }), V4]),
      [],
    ],
    [
      'routes beside Calico’s',
      list([calico({ type: 'host-local', routes: [{ dst: '10.50.0.0/16' }] }, { include_default_routes: true }), V4]),
      [],
    ],
    ['forwarding', list([calico({}, { container_settings: { allow_ip_forwarding: true } }), V4]), []],
  ])('%s', async (_, text, expected) => {
    expect(await findings(text)).toEqual(expected)
  })

  const network = {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name: 'underlay', namespace: 'tenant' },
    spec: { config: list([calico(), V6]) },
  }
  const pod = (annotations: object) => ({
    kind: 'Pod',
    metadata: {
      namespace: 'tenant',
      annotations: { 'v1.multus-cni.io/default-network': 'tenant/underlay', ...annotations },
    },
  })
  const dual = { 'cni.projectcalico.org/ipFamilies': '["IPv4", "IPv6"]' }
  it.each<[string, object[], string]>([
    ['that brings IPv6', [pod(dual)], 'XCR309'],
    [
      'that brings an address',
      [pod({ 'cni.projectcalico.org/ipAddrs': '["10.199.3.1", "fd00:10:199::1"]' })],
      'XCR309',
    ],
    ['that brings IPv4 alone', [pod({ 'cni.projectcalico.org/ipAddrs': '["10.199.3.1"]' })], 'XCR308'],
    ['beside one that does not', [pod(dual), pod({})], 'XCR308'],
  ])('what a pod needs, also of one %s', async (_, pods, code) => {
    const text = [network, ...pods].map((one) => stringify(one)).join('---\n')
    expect(await codes(text)).toEqual([expect.stringMatching(new RegExp(`^\\d+:\\d+ ${code}$`))])
  })
})

describe('validate says of an order', () => {
  it.each<[string, object[], string[]]>([
    [
      'with tuning first',
      [{ type: 'tuning' }, calico(), V4],
      ['error: plugins[0]: tuning comes first, but changes a NIC that another plugin has made; put it after calico'],
    ],
    ['with tuning in between', [calico(), { type: 'tuning', mac: '02:00:00:00:00:01' }, V4], []],
    ['with tuning last', [calico(), V4, { type: 'tuning' }], []],
    [
      'that switches IPv6 off',
      [
        calico({ assign_ipv6: 'true' }),
        V6,
        {
          type: 'tuning',
          sysctl: {
            'net.ipv6.conf.IFNAME.disable_ipv6': '1',
            'net.ipv6.conf.default.disable_ipv6': '1',
            'net.ipv4.ip_forward': '1',
          },
        },
      ],
      [
        'warning: plugins[2].sysctl.net.ipv6.conf.IFNAME.disable_ipv6: tuning switches IPv6 off, and x-calico-route has IPv6 routes to make; remove this, or those routes',
      ],
    ],
    [
      'that switches IPv6 off where none is needed',
      [calico(), V4, { type: 'tuning', sysctl: { 'net.ipv6.conf.all.disable_ipv6': '1' } }],
      [],
    ],
    [
      'that leaves IPv6 on',
      [calico({ assign_ipv6: 'true' }), V6, { type: 'tuning', sysctl: { 'net.ipv6.conf.all.disable_ipv6': '0' } }],
      [],
    ],
  ])('%s', async (_, plugins, expected) => {
    expect(await findings(list(plugins))).toEqual(expected)
  })
})

it('each stands where it is written', async () => {
  const text = list([calico({ assign_ipv6: true }), V6])
  const at = (what: string) => `1:${text.indexOf(what) + 1}`
  expect(await codes(text)).toEqual([`${at('true')} XCR306`, `${at('{"dst":"fd00')} XCR308`])
})
