import { describe, expect, it } from 'vitest'
import { CALICO, findings, list, OURS, TUNING, validate } from '../../../support/validate.ts'

const NOTHING_LEFT =
  'note: plugins[1]: removes the default route and adds no route, so the pod reaches nothing through Calico; add "routes", or write "defaultRoute": "keep"'
const UNKNOWN_SET =
  'note: plugins[1].routes[0].set: the prefixes of a were not checked; give --sets DIR, or the ConfigMap x-calico-route-sets among the files'

describe('validate says of a chain', () => {
  it('that it is ok, and which plugins it has', async () => {
    expect(await validate(list([CALICO, OURS, TUNING]))).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico, x-calico-route, tuning)'],
    })
  })

  it.each<[string, string, string[]]>([
    [
      'x-calico-route first',
      list([OURS, CALICO]),
      [
        'error: plugins[0]: x-calico-route comes first; put it after the plugin that makes the NIC (calico, kube-ovn, ...)',
      ],
    ],
    [
      'only plugins before it that make no NIC',
      list([TUNING, OURS]),
      [
        'error: plugins[1]: x-calico-route comes after tuning, before any NIC is made; put it after the plugin that makes the NIC (calico, kube-ovn, ...)',
      ],
    ],
    [
      'x-calico-route twice',
      list([CALICO, OURS, { type: 'x-calico-route' }]),
      ['warning: plugins[2]: x-calico-route is already plugins[1] and works on the same NIC; write all keys there'],
    ],
    [
      'a plugin after it that moves its routes',
      list([CALICO, OURS, { type: 'constructor' }, { type: '__proto__' }, { type: 'sbr' }]),
      [
        'warning: plugins[4]: sbr moves the routes of the NIC to another table after x-calico-route has made them; put x-calico-route after it',
      ],
    ],
    [
      'its name misspelt',
      list([CALICO, { ...OURS, type: 'x-calico-routes' }]),
      ['error: plugins[1].type: unknown plugin "x-calico-routes"; did you mean "x-calico-route"?'],
    ],
    [
      'a plugin without type',
      list([CALICO, {}]),
      ['error: plugins[1]: type: missing; write the name of the executable of the plugin'],
    ],
    ['no plugins', list([]), ['error: plugins: must be a list of plugins']],
    [
      'a version that Calico refuses',
      list([CALICO, OURS], { cniVersion: '1.1.0' }),
      ['error: cniVersion: Calico refuses versions above 1.0.0; write "1.0.0"'],
    ],
    [
      'a version that the plugin refuses',
      list([CALICO, OURS], { cniVersion: '0.2.0' }),
      [
        'error: cniVersion: "0.2.0" is not supported; the configuration asks for 0.2.0, x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
      ],
    ],
    ['no name', list([CALICO, OURS], { name: undefined }), ['error: name: missing']],
    [
      'our keys beside "plugins"',
      list([CALICO, OURS], { routes: [] }),
      ['warning: routes: ignored here; move it into the x-calico-route entry of "plugins"'],
    ],
    [
      'checks switched off',
      list([CALICO, OURS], { disableCheck: true }),
      ['note: disableCheck: no runtime will CHECK the routes; "x-calico-route verify" still does'],
    ],
    [
      'no version',
      list([CALICO, OURS], { cniVersion: undefined }),
      ['error: cniVersion: missing; write "1.0.0"; x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0'],
    ],
    [
      'an empty version',
      list([CALICO, OURS], { cniVersion: '' }),
      ['error: cniVersion: missing; write "1.0.0"; x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0'],
    ],
    [
      'several versions, of which libcni takes the newest',
      list([CALICO, OURS], { cniVersion: undefined, cniVersions: ['0.4.0', '1.0.0', '9.0.0'] }),
      [],
    ],
    [
      'several versions, of which the newest is none of Calico',
      list([CALICO, OURS], { cniVersions: ['1.1.0', '0.4.0'] }),
      ['error: cniVersions: Calico refuses versions above 1.0.0; write "1.0.0"'],
    ],
    ['no version where others read it', list([CALICO], { cniVersion: undefined }), []],
    ['an old version where others read it', list([CALICO], { cniVersion: '0.2.0' }), []],
    [
      'a version that is a number',
      list([CALICO], { cniVersion: 1 }),
      ['error: cniVersion: must be a string such as "1.0.0", is 1'],
    ],
    [
      'keys of route-override in ours',
      list([CALICO, { ...OURS, flushgateway: true, addroutes: [{ dst: '10.50.0.0/16' }] }]),
      [
        'error: plugins[1].flushgateway: a key of route-override; write "defaultRoute": "remove"',
        'error: plugins[1].addroutes: a key of route-override; write "routes"',
      ],
    ],
    [
      'keys of route-override in its own',
      list([CALICO, OURS, { type: 'tuning', flushgateway: true, addroutes: [] }]),
      [],
    ],
    [
      'our keys beside "plugins", in other letters',
      list([CALICO, OURS], { default_route: 'keep' }),
      ['warning: default_route: ignored here; move it into the x-calico-route entry of "plugins"'],
    ],
    ...['routes', 'ovnGateway', 'defaultRoute', 'overrides', 'kubevirt', 'logFile', 'args'].map(
      (key): [string, string, string[]] => [
        `${key} null`,
        list([CALICO, { ...OURS, [key]: null }]),
        key === 'routes' ? [NOTHING_LEFT] : [],
      ],
    ),
    ['no routes behind Calico', list([CALICO, { type: OURS.type }]), [NOTHING_LEFT]],
    [
      'no routes behind Calico, and a default route of one family removed',
      list([CALICO, { type: OURS.type, routes: [], defaultRoute: { ipv4: 'keep' } }]),
      [NOTHING_LEFT],
    ],
    ...[
      { defaultRoute: 'keep' },
      { defaultRoute: 'demote' },
      { ovnGateway: '169.254.1.1' },
      { overrides: { allow: ['routes'], within: ['10.50.0.0/16'] } },
    ].map((more): [string, string, string[]] => [
      `no routes, but ${Object.keys(more)}`,
      list([CALICO, { type: OURS.type, ...more }]),
      [],
    ]),
    ['no routes behind another plugin', list([{ type: 'kube-ovn' }, { type: OURS.type }]), []],
    ['null in a route', list([CALICO, { ...OURS, routes: [{ dst: '10.50.0.0/16', gw: null, mtu: null }] }]), []],
    ['null in cni-args', list([CALICO, { ...OURS, args: { cni: { routes: null } } }]), []],
    [
      'a wrong key beside everything that depends on others',
      list([
        CALICO,
        {
          ...OURS,
          logLevel: 'loud',
          ovnGateway: { ipv6: '10.0.0.1' },
          routes: [{ dst: '10.50.0.1/16', mtu: 1, gw: 'fe80::1' }],
          args: { cni: { dryRun: true } },
          prevResult: 5,
        },
      ]),
      [
        'error: plugins[1].args.cni.dryRun: not in "overrides.allow" of the network configuration',
        'error: plugins[1].logLevel: must be debug, info, warn or error, is "loud"',
        'error: plugins[1].ovnGateway.ipv6: 10.0.0.1 is not an IPv6 address; write an IPv6 address or "auto"',
        'error: plugins[1].prevResult: must be an object, is 5',
        'error: plugins[1].routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
        'error: plugins[1].routes[0].gw: fe80::1 is an IPv6 address, but 10.50.0.0/16 is IPv4; write an IPv4 address',
        'error: plugins[1].routes[0].mtu: must be an integer from 68 to 65520, is 1',
      ],
    ],
    [
      'a scope that the kernel does not keep',
      list([
        CALICO,
        {
          ...OURS,
          routes: [
            { dst: 'fd00:1::/48', scope: 'link' },
            { dst: 'fd00:2::/48', scope: 'global' },
            { dst: 'fd00:3::/48', scope: 'site' },
            { dst: 'fd00:4::/48', scope: 254 },
            { dst: '10.50.0.0/16', scope: 'site' },
          ],
        },
      ]),
      ['2', '3'].map(
        (index) =>
          `warning: plugins[1].routes[${index}].scope: ignored, because IPv6 routes have no scope; remove it, or write "link" for a route without a next hop`,
      ),
    ],
    [
      'types that are no words',
      list([CALICO, { type: { a: 1 } }, OURS]),
      ['error: plugins[1].type: must be the name of an executable'],
    ],
    [
      'a capability in the wrong entry',
      list([CALICO, { ...OURS, capabilities: { mac: true } }]),
      ['warning: plugins[1].capabilities: ignored: x-calico-route does not support mac; move it to tuning'],
    ],
    [
      'keys that are not ours',
      list([CALICO, { ...OURS, ovnGateWay: 'auto', route: [], colour: 1, 'cni.dev/x': 1 }]),
      [
        'error: plugins[1].ovnGateWay: unknown key; did you mean "ovnGateway"?',
        'error: plugins[1].route: unknown key; did you mean "routes"?',
        'note: plugins[1].colour: unknown key, which is ignored',
      ],
    ],
    [
      'overrides that allow nothing',
      list([CALICO, { ...OURS, overrides: { allow: ['routes'] } }]),
      [
        'warning: plugins[1].overrides: within: missing, so routes of a pod are always refused; write the prefixes that pods may use',
      ],
    ],
    [
      'what KubeVirt makes nothing of',
      list([
        CALICO,
        {
          type: 'x-calico-route',
          kubevirt: true,
          defaultRoute: 'demote',
          routes: [{ dst: '10.50.0.0/16' }, { dst: '10.60.0.0/16', scope: 'link' }, { dst: 'fd00::/64' }],
          overrides: { allow: ['kubevirt'] },
        },
      ]),
      [
        'note: plugins[1].defaultRoute: KubeVirt hands a demoted IPv4 default route to the VM as its default route',
        'note: plugins[1].routes[0]: DHCP clients that apply routes in order refuse this one: the route to its gateway comes later; lead it through an unused address that sorts before all prefixes: add {"dst": "10.0.0.1/32", "scope": "link"}, and write "gw": "10.0.0.1"',
        'note: plugins[1].routes[1]: dhcpcd 9 in the VM makes a route to a single address of this one; lead it through an unused address that sorts before all prefixes: add {"dst": "10.0.0.1/32", "scope": "link"}, and write "gw": "10.0.0.1"',
        'note: plugins[1].routes[2]: KubeVirt hands no IPv6 routes to a VM; write them in its cloud-init network configuration',
        'note: plugins[1].overrides: of a VM, only the annotation v1.multus-cni.io/default-network brings cni-args here, beside "pod: {}"',
      ],
    ],
    [
      'of a set, which may hold anything, that it is not known',
      list([CALICO, { type: 'x-calico-route', routes: [{ set: 'a' }] }]),
      [UNKNOWN_SET],
    ],
    [
      'what KubeVirt makes of routes that stand beside a set',
      list([
        CALICO,
        { type: 'x-calico-route', kubevirt: true, routes: [{ set: 'a', scope: 'link' }, { dst: 'fd00::/64' }] },
      ]),
      [
        'note: plugins[1].routes[1]: KubeVirt hands no IPv6 routes to a VM; write them in its cloud-init network configuration',
        UNKNOWN_SET,
      ],
    ],
    [
      'what is wrong with an entry that names a set',
      list([
        CALICO,
        { type: 'x-calico-route', setsDir: 'sets', routes: [{ set: 'A' }, { set: 'a', dst: '10.0.0.0/8', mtu: 1 }] },
      ]),
      [
        'error: plugins[1].setsDir: must be an absolute path without ".." and without "/" at its end, is "sets"',
        'error: plugins[1].routes[0].set: "A" is not the name of a set; write at most 63 lower case letters, digits and hyphens, such as "underlay"',
        'error: plugins[1].routes[1].set: cannot be combined with "dst"; remove one of them',
        'error: plugins[1].routes[1].mtu: must be an integer from 68 to 65520, is 1',
      ],
    ],
    [
      'a key twice',
      '{"cniVersion": "1.0.0", "name": "a", "name": "net", "plugins": [{"type": "calico"}]}',
      ['warning: name: appears twice in this object; the last one counts'],
    ],
    [
      'every mistake in our keys at once',
      list([CALICO, { type: 'x-calico-route', defaultRoute: 'no', routes: [{ dst: '10.50.0.1/16', via: 'x' }, {}] }]),
      [
        'error: plugins[1].defaultRoute: must be remove, demote or keep, is "no"',
        'error: plugins[1].routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
        'error: plugins[1].routes[0].via: unknown key; did you mean "gw"?',
        'error: plugins[1].routes[1]: dst: missing; write "dst" or "set"',
      ],
    ],
    [
      'cni-args that its overrides forbid',
      list([CALICO, { ...OURS, args: { cni: { routes: [] } } }]),
      ['error: plugins[1].args.cni.routes: not in "overrides.allow" of the network configuration'],
    ],
    [
      'a prevResult that is none',
      list([CALICO, { ...OURS, prevResult: { ips: [{ address: '10.0.0.1' }] } }]),
      ['error: plugins[1].prevResult.ips[0].address: must be an address with prefix length, is "10.0.0.1"'],
    ],
  ])('%s', async (_, text, expected) => {
    expect((await findings(text)).toSorted()).toEqual(expected.toSorted())
  })
})
