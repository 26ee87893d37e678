import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { OUR_KEYS } from '../../../src/config/misnamed-keys.ts'
import type { GATEWAY_KEYS } from '../../../src/config/schema.ts'
import { ATTRIBUTE_NAMES } from '../../../src/net/attributes.ts'
import { refusal } from '../../support/refusal.ts'

const ROUTE_KEYS = ['dst', 'set', 'gw', 'dev', 'src', 'priority', 'table', 'scope', ...ATTRIBUTE_NAMES, 'onlink']

const KEYS_OF_OTHERS = [
  // libcni, and the specification
  ...[
    'cniVersion',
    'cniVersions',
    'name',
    'type',
    'args',
    'capabilities',
    'runtimeConfig',
    'prevResult',
    'ipam',
    'dns',
  ],
  ...['ipMasq', 'plugins', 'disableCheck', 'disableGC', 'loadOnlyInlinedPlugins'],
  ...['cni.dev/valid-attachments', 'cni.dev/attachments', 'cni.dev/routes'],
  // Multus, SR-IOV, device plugins
  ...[
    'deviceID',
    'pciBusID',
    'delegates',
    'confDir',
    'kubeconfig',
    'clusterNetwork',
    'defaultNetworks',
    'resourceName',
  ],
  ...['logToStderr', 'logOptions', 'readinessindicatorfile', 'systemNamespaces', 'namespaceIsolation', 'mac', 'ips'],
  // Calico, Kube-OVN, spiderpool, Cilium and the reference plugins, out of an entry that was copied
  ...['datastore_type', 'nodename', 'policy', 'kubernetes', 'server_socket', 'provider', 'mtu', 'log_file_path'],
  ...['log_file_max_size', 'include_default_routes', 'log-format', 'enable-debug', 'overlayPodCIDR', 'tunePodRoutes'],
  ...['hostRuleTable', 'podDefaultRouteNIC', 'isGateway', 'isDefaultGateway', 'defaultGateway', 'gateway', 'bridge'],
  ...['master', 'mode', 'vlan', 'sysctl', 'table', 'vrfname', 'snat', 'backend', 'promisc'],
  // remarks
  ...[
    'comment',
    '_comment',
    '//',
    'notes',
    'note',
    'description',
    'version',
    'x-owner',
    'labels',
    'rules',
    'outer',
    'quotes',
  ],
  ...['', ' ', '\u0000', '__proto__x', 'constructor', 'toString', 'hasOwnProperty'],
]

/** The same, written without what is null. */
const withoutNulls = <T>(value: T): T => JSON.parse(JSON.stringify(value, (_, part) => part ?? undefined)) as T

describe('a configuration', () => {
  it('needs nothing: the defaults go, nothing comes', () => {
    expect(parseConfig({})).toEqual({
      defaultRoute: { 4: 'remove', 6: 'remove' },
      routes: [],
      missingFamily: 'refuse',
      kubevirt: false,
      dryRun: false,
    })
  })

  it('may hold keys of others', () => {
    expect(() =>
      parseConfig({ cniVersion: '1.0.0', name: 'n', type: 't', runtimeConfig: {}, args: { cni: { x: 1 } }, x: [] }),
    ).not.toThrow()
  })

  // What runtimes and operators put beside our keys, whoever's they are: none may be taken for a misspelt one of ours.
  it.each(KEYS_OF_OTHERS)('may hold %j', (key) => {
    expect(() => parseConfig({ [key]: true })).not.toThrow()
  })

  it('may hold 100,000 keys, or one of a million letters, of which few are looked at', () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`route${i}`, i]))
    expect(() => parseConfig({ ...many, ['routes'.repeat(200_000)]: 1 })).toThrow('did you mean "routes"?')
  })

  it.each<[string, Record<string, unknown>]>([
    ['at the top', Object.fromEntries(OUR_KEYS.map((key) => [key, null]))],
    [
      'of a route',
      { routes: [Object.fromEntries(ROUTE_KEYS.map((key) => [key, key === 'dst' ? '10.50.0.0/16' : null]))] },
    ],
    ['of defaultRoute', { defaultRoute: { ipv4: null, ipv6: null } }],
    ['of ovnGateway', { ovnGateway: { ipv4: null, ipv6: null, dev: null, priority: null, onlink: null } }],
    ['of overrides', { overrides: { allow: null, within: null } }],
  ])('may hold null for every key %s, as Go writes what is not there', (_, conf) => {
    expect(parseConfig(conf)).toEqual(parseConfig(withoutNulls(conf)))
  })

  it.each([
    ['keep', { 4: 'keep', 6: 'keep' }],
    [{ ipv4: 'keep' }, { 4: 'keep', 6: 'remove' }],
    [{ ipv6: 'keep' }, { 4: 'remove', 6: 'keep' }],
    [{}, { 4: 'remove', 6: 'remove' }],
  ])('defaultRoute %j is meant for each family', (defaultRoute, expected) => {
    expect(parseConfig({ defaultRoute }).defaultRoute).toEqual(expected)
  })

  it('fills in what the kernel would: main table, the metric of the family, no onlink', () => {
    expect(
      parseConfig({ routes: [{ dst: '10.50.0.0/16' }, { dst: 'FD00:10:50:0::/48', table: 0, priority: 0 }] }).routes,
    ).toEqual([
      { path: 'routes[0]', family: 4, dst: '10.50.0.0/16', priority: 0, table: 254, onlink: false, given: {} },
      {
        path: 'routes[1]',
        family: 6,
        dst: 'fd00:10:50::/48',
        priority: 1024,
        table: 254,
        onlink: false,
        given: { table: 0, priority: 0 },
      },
    ])
  })

  it.each([
    ['link', 253],
    ['global', 0],
    ['universe', 0],
    ['site', 200],
    ['host', 254],
    ['nowhere', 255],
    [42, 42],
  ])('scope %j is number %d', (scope, number) => {
    expect(parseConfig({ routes: [{ dst: '10.0.0.0/8', scope }] }).routes[0]?.scope).toBe(number)
  })
})

describe('ovnGateway', () => {
  const ALL = {
    ipv4: '10.0.1.1',
    ipv6: 'auto',
    dev: 'net1',
    priority: 50,
    onlink: true,
  } satisfies Record<keyof typeof GATEWAY_KEYS, unknown>

  it.each(Object.keys(ALL))('counts its key %s', (key) => {
    const others = Object.fromEntries(Object.entries(ALL).filter(([other]) => other !== key))
    expect(parseConfig({ ovnGateway: others }).gateway).not.toEqual(parseConfig({ ovnGateway: ALL }).gateway)
  })

  it.each<[unknown, unknown]>([
    ['auto', { wanted: { 4: 'auto', 6: 'auto' }, either: true, named: false, onlink: false }],
    ['10.0.1.1', { wanted: { 4: { address: '10.0.1.1' } }, either: false, named: false, onlink: false }],
    ['FD00:10:0:1::1', { wanted: { 6: { address: 'fd00:10:0:1::1' } }, either: false, named: false, onlink: false }],
    [{ dev: 'net1' }, { wanted: { 4: 'auto', 6: 'auto' }, either: true, named: false, dev: 'net1', onlink: false }],
    [
      { ipv4: 'auto', ipv6: 'fd00::1', dev: 'net1', priority: 5, onlink: true },
      {
        wanted: { 4: 'auto', 6: { address: 'fd00::1' } },
        either: false,
        named: true,
        dev: 'net1',
        priority: 5,
        onlink: true,
      },
    ],
  ])('%j is read', (ovnGateway, expected) => {
    expect(parseConfig({ ovnGateway }).gateway).toEqual(expected)
  })
})

describe('a wrong configuration is refused with code 7, key path first', () => {
  const entry = (more: Record<string, unknown>) => ({ routes: [{ dst: '10.50.0.0/16', ...more }] })
  it.each<[string, Record<string, unknown>]>([
    ['defaultRoute: must be remove, demote or keep, is "removed"', { defaultRoute: 'removed' }],
    ['defaultRoute: must be remove, demote or keep, is 5', { defaultRoute: 5 }],
    ['defaultRoute.ipv4: must be remove, demote or keep, is "x"', { defaultRoute: { ipv4: 'x' } }],
    ['defaultRoute.ipv5: unknown key; did you mean "ipv4"?', { defaultRoute: { ipv5: 'keep' } }],
    ['routes: must be an array, is {}', { routes: {} }],
    ['routes[0]: must be an object, is "10.0.0.0/8"', { routes: ['10.0.0.0/8'] }],
    ['routes[0].dst: missing; write "dst" or "set"', { routes: [{}] }],
    ['routes[0].dst: must be a string, is 10', { routes: [{ dst: 10 }] }],
    ['routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16', entry({ dst: '10.50.0.1/16' })],
    [
      'routes[0].dst: "10.50.0.1" has no prefix length; write 10.50.0.1/32 for this one host',
      entry({ dst: '10.50.0.1' }),
    ],
    ['routes[0].dst: "fd00::1" has no prefix length; write fd00::1/128 for this one host', entry({ dst: 'fd00::1' })],
    [
      'routes[0].dst: "010.50.0.0/16" is not an IP prefix; write one such as 10.50.0.0/16 or fd00:10:50::/48',
      entry({ dst: '010.50.0.0/16' }),
    ],
    [
      'routes[0].dst: 0.0.0.0/0 is the default route, which "defaultRoute" decides on; write the prefixes you need',
      entry({ dst: '0.0.0.0/0' }),
    ],
    [
      'routes[0].gw: "10.0.0.1/32" is not an IP address; write one without prefix length, such as 10.50.0.1',
      entry({ gw: '10.0.0.1/32' }),
    ],
    [
      'routes[0].gw: fe80::1 is an IPv6 address, but 10.50.0.0/16 is IPv4; write an IPv4 address',
      entry({ gw: 'fe80::1' }),
    ],
    [
      'routes[0].src: fd00::1 is an IPv6 address, but 10.50.0.0/16 is IPv4; write an IPv4 address',
      entry({ src: 'fd00::1' }),
    ],
    ['routes[0].dev: "a b" has a slash, colon or white space, which no interface name can have', entry({ dev: 'a b' })],
    [
      'routes[0].dev: "sixteen-bytes-xx" is longer than 15 bytes, the limit for an interface name',
      entry({ dev: 'sixteen-bytes-xx' }),
    ],
    ['routes[0].priority: must be an integer from 0 to 4294967295, is -1', entry({ priority: -1 })],
    ['routes[0].priority: must be an integer from 0 to 4294967295, is 1.5', entry({ priority: 1.5 })],
    ['routes[0].priority: must be a number, is "50"', entry({ priority: '50' })],
    ['routes[0].table: must be an integer from 0 to 4294967295, is 4294967296', entry({ table: 4294967296 })],
    ["routes[0].table: 255 is the kernel's local table; choose another", entry({ table: 255 })],
    [
      'routes[0].scope: must be global, site, link, host or nowhere or a number from 0 to 255, is "lnk"',
      entry({ scope: 'lnk' }),
    ],
    ['routes[0].scope: must be an integer from 0 to 255, is 256', entry({ scope: 256 })],
    ['routes[0].scope: must be a number or a string, is true', entry({ scope: true })],
    [
      'routes[0].scope: a route through gateway 10.0.0.1 cannot have scope link; leave out "gw" or "scope"',
      entry({ gw: '10.0.0.1', scope: 'link' }),
    ],
    ['routes[0].mtu: must be an integer from 68 to 65520, is 67', entry({ mtu: 67 })],
    ['routes[0].mtu: must be at least 1280 for IPv6, is 1279', { routes: [{ dst: 'fd00::/48', mtu: 1279 }] }],
    ['routes[0].advmss: must be an integer from 1 to 65495, is 0', entry({ advmss: 0 })],
    ...[
      ['127.0.0.1', 'a loopback address'],
      ['127.9.9.9', 'a loopback address'],
      ['224.0.0.1', 'a multicast address'],
      ['239.255.255.255', 'a multicast address'],
      ['255.255.255.255', 'the broadcast address'],
    ].flatMap(([gw, kind]): [string, Record<string, unknown>][] => [
      [`routes[0].gw: ${gw} is ${kind}, which no gateway has; write the address of a router`, entry({ gw })],
      [`ovnGateway: ${gw} is ${kind}, which no gateway has; write the address of a router`, { ovnGateway: gw }],
      [
        `ovnGateway.ipv4: ${gw} is ${kind}, which no gateway has; write the address of a router`,
        { ovnGateway: { ipv4: gw } },
      ],
    ]),
    ...[
      ['::1', '::1', 'a loopback address'],
      ['0:0::0:0001', '::1', 'a loopback address'],
      ['ff02::1', 'ff02::1', 'a multicast address'],
      ['FF05::1:3', 'ff05::1:3', 'a multicast address'],
    ].flatMap(([gw, shown, kind]): [string, Record<string, unknown>][] => [
      [
        `routes[0].gw: ${shown} is ${kind}, which no gateway has; write the address of a router`,
        { routes: [{ dst: 'fd00::/48', gw }] },
      ],
      [`ovnGateway: ${shown} is ${kind}, which no gateway has; write the address of a router`, { ovnGateway: gw }],
      [
        `ovnGateway.ipv6: ${shown} is ${kind}, which no gateway has; write the address of a router`,
        { ovnGateway: { ipv6: gw } },
      ],
    ]),
    [
      'routes[0].gw: 0.0.0.0 is the unspecified address, which no gateway has; leave it out, with "scope": "link" if there is none',
      entry({ gw: '0.0.0.0' }),
    ],
    [
      'routes[0].gw: :: is the unspecified address, which no gateway has; leave it out, with "scope": "link" if there is none',
      { routes: [{ dst: 'fd00::/48', gw: '0::0' }] },
    ],
    [
      'ovnGateway: :: is the unspecified address, which no gateway has; write the address of a router',
      { ovnGateway: '::' },
    ],
    [
      'routes[0].src: 0.0.0.0 is the unspecified address, which no packet comes from; write an address of the pod',
      entry({ src: '0.0.0.0' }),
    ],
    [
      'routes[0].src: 224.0.0.1 is a multicast address, which no packet comes from; write an address of the pod',
      entry({ src: '224.0.0.1' }),
    ],
    [
      'routes[0].src: 255.255.255.255 is the broadcast address, which no packet comes from; write an address of the pod',
      entry({ src: '255.255.255.255' }),
    ],
    ...['::', '::1', 'ff02::1'].map((src): [string, Record<string, unknown>] => [
      `routes[0].src: ${src} is ${{ '::': 'the unspecified', '::1': 'a loopback' }[src] ?? 'a multicast'} address, which no packet comes from; write an address of the pod`,
      { routes: [{ dst: 'fd00::/48', src }] },
    ]),
    ['routes[0].onlink: must be a boolean, is "yes"', entry({ onlink: 'yes' })],
    ['routes[0].onlink: needs a gateway; add "gw" or remove "onlink"', entry({ onlink: true })],
    ['routes[0].gateway: unknown key; did you mean "gw"?', entry({ gateway: '10.0.0.1' })],
    ['routes[0].metric: unknown key; did you mean "priority"?', entry({ metric: 5 })],
    ['routes[0].prioritty: unknown key; did you mean "priority"?', entry({ prioritty: 5 })],
    [`routes[0].colour: unknown key; write one of ${ROUTE_KEYS.join(', ')}`, entry({ colour: 5 })],
    [
      'routes[1]: 10.50.0.0/16 is already in routes[0] with the same table and priority; remove one, or write another "priority"',
      { routes: [{ dst: '10.50.0.0/16' }, { dst: '10.50.0.0/16', table: 254, gw: '10.0.0.1' }] },
    ],
    ['dryRun: must be a boolean, is "true"', { dryRun: 'true' }],
    ['logLevel: must be debug, info, warn or error, is "verbose"', { logLevel: 'verbose' }],
    ['logFile: must be an absolute path without ".." and without "/" at its end, is "x.log"', { logFile: 'x.log' }],
    [
      'logFile: must be an absolute path without ".." and without "/" at its end, is "/var/log/../../etc/passwd"',
      { logFile: '/var/log/../../etc/passwd' },
    ],
    ['ovnGateway: must be "auto" or an IP address, is "10.0.1.1/24"', { ovnGateway: '10.0.1.1/24' }],
    ['ovnGateway.ipv4: must be "auto" or an IP address, is "x"', { ovnGateway: { ipv4: 'x' } }],
    [
      'ovnGateway.ipv4: fd00::1 is not an IPv4 address; write an IPv4 address or "auto"',
      { ovnGateway: { ipv4: 'fd00::1' } },
    ],
    ['ovnGateway.device: unknown key; did you mean "dev"?', { ovnGateway: { device: 'net1' } }],
    ['ovnGateway.priority: must be an integer from 0 to 4294967295, is -1', { ovnGateway: { priority: -1 } }],
    ['kubevirt: must be a boolean, is "yes"', { kubevirt: 'yes' }],
    ['missingFamily: must be refuse or skip, is "keep"', { missingFamily: 'keep' }],
    ['missingFamily: must be refuse or skip, is {"ipv6":"skip"}', { missingFamily: { ipv6: 'skip' } }],
    ['routes[0].dst: missing; write "dst" or "set"', { routes: [{ dst: null }] }],
    ['routes[0].gatway: unknown key; did you mean "gw"?', entry({ gatway: null })],
    ['defaultroute: unknown key; did you mean "defaultRoute"?', { defaultroute: null }],
    ['routes[0]: must be an object, is null', { routes: [null] }],
    [
      'overrides.allow[0]: must be defaultRoute, routes, missingFamily, ovnGateway, sourceRouting, kubevirt or dryRun, is null',
      { overrides: { allow: [null] } },
    ],
    ...[
      ['defaultroute', 'defaultRoute'],
      ['DefaultRoute', 'defaultRoute'],
      ['default_route', 'defaultRoute'],
      ['default-route', 'defaultRoute'],
      ['defautRoute', 'defaultRoute'],
      ['defaultRoutes', 'defaultRoute'],
      ['Routes', 'routes'],
      ['route', 'routes'],
      ['rotues', 'routes'],
      ['ovngateway', 'ovnGateway'],
      ['ovnGatway', 'ovnGateway'],
      ['ovn-gateway', 'ovnGateway'],
      ['kubeVirt', 'kubevirt'],
      ['override', 'overrides'],
      ['dry_run', 'dryRun'],
      ['dryrun', 'dryRun'],
      ['drRyun', 'dryRun'],
      ['log_level', 'logLevel'],
      ['loglevels', 'logLevel'],
      ['log-file', 'logFile'],
      ['"defaultRoute "', 'defaultRoute'],
    ].map(([key = '', meant]): [string, Record<string, unknown>] => [
      `${key}: unknown key; did you mean "${meant}"?`,
      { [key.replaceAll('"', '')]: 'keep' },
    ]),
    ['flushgateway: a key of route-override; write "defaultRoute": "remove"', { flushgateway: true }],
    ['addRoutes: a key of route-override; write "routes"', { addRoutes: [] }],
    [
      'delroutes: a key of route-override; write "defaultRoute" for default routes; no other route is removed',
      { delroutes: [] },
    ],
    [
      'flushroutes: a key of route-override; write "defaultRoute": "remove" for default routes; no other route is removed',
      { flushroutes: true },
    ],
    ['skipcheck: a key of route-override; write "disableCheck": true beside "plugins"', { skipcheck: true }],
    ['overrides.alow: unknown key; did you mean "allow"?', { overrides: { alow: [] } }],
    [
      'overrides.allow[0]: must be defaultRoute, routes, missingFamily, ovnGateway, sourceRouting, kubevirt or dryRun, is "logFile"',
      { overrides: { allow: ['logFile'] } },
    ],
    [
      'overrides.within[0]: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
      { overrides: { within: ['10.50.0.1/16'] } },
    ],
  ])('%s', (message, conf) => {
    expect(refusal(() => parseConfig(conf))).toMatchObject({ code: 7, message })
  })

  it('takes as source what the kernel takes: 127.0.0.1 is an address of every pod', () => {
    expect(parseConfig({ routes: [{ dst: '10.50.0.0/16', src: '127.0.0.1' }] }).routes).toHaveLength(1)
  })

  const told = (conf: Record<string, unknown>) => {
    const { message, details = '' } = refusal(() => parseConfig(conf))
    return [message, ...details.split('; ')]
      .filter((part) => /^[a-z][^ ]*: /i.test(part))
      .map((part) => part.split(': ')[0])
  }

  it.each<[string, string[], Record<string, unknown>]>([
    [
      'in several places',
      ['routes[0].dst', 'routes[0].gatway', 'routes[1].priority', 'dryRun'],
      {
        dryRun: 1,
        routes: [
          { dst: '10.0.0.1/8', gatway: 'x' },
          { dst: 'fd00::/48', priority: 'x' },
        ],
      },
    ],
    [
      'of ovnGateway beside a wrong logLevel',
      ['ovnGateway.ipv4', 'ovnGateway.priority', 'ovnGateway.device', 'logLevel'],
      { logLevel: 'loud', ovnGateway: { ipv4: 'fd00::1', priority: -1, device: 'x' } },
    ],
    [
      'of a word for ovnGateway beside a wrong logLevel',
      ['ovnGateway', 'logLevel'],
      { logLevel: 'loud', ovnGateway: '::' },
    ],
    [
      'of a gateway and its family, beside a wrong mtu',
      ['routes[0].mtu', 'routes[0].gw'],
      entry({ mtu: 1, gw: 'fe80::1' }),
    ],
    [
      'of family, host bits and a misspelt key',
      ['routes[0].dst', 'routes[0].metrik', 'routes[0].src'],
      entry({ dst: '10.50.0.1/16', metrik: 1, src: 'fd00::1' }),
    ],
    [
      'of scope beside a gateway that is none',
      ['routes[0].gw', 'routes[0].scope'],
      entry({ gw: '10.0.0.1/24', scope: 'link' }),
    ],
    [
      'of a scope beside a wrong priority',
      ['routes[0].priority', 'routes[0].scope'],
      entry({ gw: '10.0.0.1', scope: 'link', priority: -1 }),
    ],
    ['of onlink beside a wrong mtu', ['routes[0].mtu', 'routes[0].onlink'], entry({ mtu: 1, onlink: true })],
    [
      'of an IPv6 mtu beside a wrong table',
      ['routes[0].table', 'routes[0].mtu'],
      { routes: [{ dst: 'fd00::/48', mtu: 1279, table: 255 }] },
    ],
    [
      'of a default route beside a wrong priority',
      ['routes[0].priority', 'routes[0].dst'],
      entry({ dst: '::/0', priority: -1 }),
    ],
    [
      'of a route that stands twice, beside a wrong mtu in each',
      ['routes[0].mtu', 'routes[1].mtu', 'routes[1]'],
      {
        routes: [
          { dst: '10.50.0.0/16', mtu: 1 },
          { dst: '10.50.0.0/16', mtu: 1 },
        ],
      },
    ],
    [
      'of a route that stands twice but for its host bits',
      ['routes[0].dst', 'routes[1]'],
      { routes: [{ dst: '10.50.0.1/16' }, { dst: '10.50.0.0/16' }] },
    ],
    [
      'of everything else beside a misspelt key',
      ['defaultroute', 'routes[0].dst', 'defaultRoute', 'overrides.allow[0]', 'overrides.within[0]', 'kubevirt'],
      {
        defaultroute: 'keep',
        defaultRoute: 'no',
        kubevirt: 1,
        routes: [{}],
        overrides: { allow: ['x'], within: ['10.50.0.1/16'] },
      },
    ],
  ])('tells every problem %s', (_, expected, conf) => {
    expect(told(conf)).toEqual(expected)
  })

  it.each<[string, Record<string, unknown>]>([
    ['a wrong priority', { routes: [{ dst: '10.0.0.0/8' }, { dst: '10.0.0.0/8', priority: -1 }] }],
    ['a wrong table', { routes: [{ dst: '0.0.0.0/0', table: 'x' }] }],
    ['a gateway that is none', entry({ gw: 'x', onlink: true })],
  ])('says nothing of what depends on %s', (_, conf) => {
    expect(told(conf)).toHaveLength(1)
  })

  it('takes the same destination with another table or priority', () => {
    const routes = [{ dst: '10.0.0.0/8' }, { dst: '10.0.0.0/8', priority: 5 }, { dst: '10.0.0.0/8', table: 5 }]
    expect(parseConfig({ routes }).routes).toHaveLength(3)
  })

  it('takes a default route in a table of its own', () => {
    expect(
      parseConfig({
        routes: [
          { dst: '0.0.0.0/0', table: 100 },
          { dst: '::/0', table: 100 },
        ],
      }).routes,
    ).toHaveLength(2)
  })

  it('cuts a long value short', () => {
    expect(refusal(() => parseConfig({ dryRun: 'x'.repeat(1000) })).message).toHaveLength(
      'dryRun: must be a boolean, is '.length + 80,
    )
  })
})
