import { conform } from './conform.ts'
import {
  CNI,
  either,
  error,
  exactly,
  PROMISE,
  refused,
  result,
  SPEC,
  VERSIONS,
  type Vector,
  type Version,
} from './vector.ts'

/** A Result as a first plugin of the chain may print it, with every key its version has. */
function previous(cniVersion: Version) {
  const version = (of: '4' | '6') => (cniVersion < '1' ? { version: of } : {})
  const newer = cniVersion === '1.1.0'
  return {
    cniVersion,
    interfaces: [
      { name: 'cali1234567890a', mac: 'ee:ee:ee:ee:ee:ee' },
      {
        name: 'eth0',
        mac: 'da:8f:31:5c:02:7e',
        sandbox: '/run/netns/pod',
        ...(newer ? { mtu: 1450, socketPath: '/run/vhost/eth0.sock', pciID: '0000:03:00.1' } : {}),
      },
    ],
    ips: [
      { ...version('4'), interface: 1, address: '10.199.3.153/24', gateway: '10.199.3.1' },
      { ...version('6'), interface: 1, address: 'fd00:10:199::153/64', gateway: 'fd00:10:199::1' },
      { ...version('4'), interface: 0, address: '10.199.3.154/24' },
    ],
    routes: [
      { dst: '10.77.0.0/16', gw: '10.199.3.1' },
      { dst: 'fd00:77::/48' },
      ...(newer ? [{ dst: '10.78.0.0/16', mtu: 1400, advmss: 1360, priority: 7, table: 0, scope: 0 }] : []),
    ],
    dns: {
      nameservers: ['10.96.0.10', 'fd00::a'],
      domain: 'cluster.local',
      search: ['svc.cluster.local'],
      options: ['ndots:5'],
    },
  }
}

const HOST_SIDE = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'cali1234567890a' }],
  ips: [{ address: '10.199.3.153/32' }],
}

const passedOn: Vector[] = [
  ...VERSIONS.map(
    (cniVersion): Vector => ({
      it: `a ${cniVersion} prevResult with every key of its version is passed on as it is`,
      source: SPEC.result,
      verb: 'ADD',
      conf: { cniVersion, prevResult: previous(cniVersion) },
      gives: exactly(previous(cniVersion)),
    }),
  ),
  {
    it: 'a prevResult that knows only the host side is passed on',
    source: SPEC.result,
    verb: 'ADD',
    conf: { prevResult: HOST_SIDE },
    gives: exactly(HOST_SIDE),
  },
  {
    it: 'a prevResult without an address is passed on',
    source: SPEC.result,
    verb: 'ADD',
    conf: { prevResult: { cniVersion: '1.0.0', interfaces: [{ name: 'eth0' }] } },
    gives: exactly({ cniVersion: '1.0.0', interfaces: [{ name: 'eth0' }] }),
  },
  {
    it: 'an empty prevResult is passed on',
    source: CNI.prevResult,
    verb: 'ADD',
    conf: { prevResult: {} },
    gives: result(),
  },
  ...(['0.4.0', '1.0.0', '1.1.0'] as const).map(
    (cniVersion): Vector => ({
      it: `a prevResult that names no version is in that of the configuration, ${cniVersion}`,
      source: CNI.prevResult,
      verb: 'ADD',
      conf: { cniVersion, prevResult: { ...previous(cniVersion), cniVersion: undefined } },
      gives: exactly(previous(cniVersion)),
    }),
  ),
]

/** A nil slice of Go is null in JSON. */
const nulls: Vector[] = [
  ...['interfaces', 'ips', 'routes', 'dns'].map(
    (key): Vector => ({
      it: `${key}: null in prevResult is as good as nothing`,
      source: CNI.types,
      verb: 'ADD',
      conf: { prevResult: { ...previous('1.0.0'), ...(key === 'interfaces' ? { ips: null } : {}), [key]: null } },
      gives: result({ cniVersion: '1.0.0' }),
    }),
  ),
  {
    it: 'a prevResult of nulls is as good as an empty one',
    source: CNI.types,
    verb: 'ADD',
    conf: {
      cniVersion: '0.4.0',
      prevResult: { cniVersion: '0.4.0', interfaces: null, ips: null, routes: null, dns: null },
    },
    gives: result(),
  },
  {
    it: 'nulls within the entries of prevResult are as good as nothing',
    source: CNI.types,
    verb: 'ADD',
    conf: {
      prevResult: {
        cniVersion: '1.0.0',
        interfaces: [{ name: 'eth0', mac: null, sandbox: null }],
        ips: [{ address: '10.1.2.3/24', gateway: null, interface: null }],
        routes: [{ dst: '10.77.0.0/16', gw: null }],
        dns: { nameservers: null, domain: null, search: null, options: null },
      },
    },
    gives: result(),
  },
  ...(['CHECK', 'DEL'] as const).map(
    (verb): Vector => ({
      it: `${verb} takes the nulls of a prevResult as ADD does`,
      source: CNI.types,
      verb,
      conf: { prevResult: { cniVersion: '1.0.0', interfaces: null, ips: null, routes: null, dns: null } },
      gives: { is: 'nothing' },
    }),
  ),
]

/** 0.3.0, 0.3.1 and 0.4.0 have one Result type, 1.0.0 and 1.1.0 the other. */
const otherVersion: Vector[] = [
  ...(
    [
      ['0.3.0', '0.3.1'],
      ['0.3.1', '0.4.0'],
      ['0.4.0', '0.3.0'],
      ['1.0.0', '1.1.0'],
    ] as const
  ).map(
    ([from, to]): Vector => ({
      it: `a prevResult in ${from} becomes a Result in ${to}`,
      source: from < '1' ? CNI.result040 : CNI.result100,
      verb: 'ADD',
      conf: { cniVersion: to, prevResult: previous(from) },
      gives: exactly({ ...previous(from), cniVersion: to }),
    }),
  ),
  ...(
    [
      ['1.1.0', '1.0.0'],
      ['1.0.0', '0.4.0'],
      ['1.1.0', '0.3.1'],
      ['0.3.0', '1.0.0'],
      ['0.4.0', '1.1.0'],
    ] as const
  ).map(
    ([from, to]): Vector => ({
      it: `a prevResult in ${from} is converted to ${to}, without what that version does not have`,
      source: PROMISE,
      verb: 'ADD',
      conf: { cniVersion: to, prevResult: previous(from) },
      gives: exactly({
        ...previous(to === '1.1.0' ? '1.0.0' : to),
        cniVersion: to,
        routes: [...previous('1.0.0').routes, ...(from === '1.1.0' ? [{ dst: '10.78.0.0/16' }] : [])],
      }),
    }),
  ),
  ...(['0.4.0', '1.0.0'] as const).map(
    (cniVersion): Vector => ({
      it: `keys that ${cniVersion} does not have are taken out even if the prevResult claims it, as Calico does`,
      source: PROMISE,
      verb: 'ADD',
      conf: { cniVersion, prevResult: { ...previous('1.1.0'), cniVersion, ips: previous(cniVersion).ips } },
      gives: exactly({
        ...previous(cniVersion),
        routes: [...previous(cniVersion).routes, { dst: '10.78.0.0/16' }],
      }),
    }),
  ),
  {
    it: 'a 1.0.0 prevResult with ips[].version loses it',
    source: CNI.result100,
    verb: 'ADD',
    conf: { prevResult: { cniVersion: '1.0.0', ips: [{ version: '4', address: '10.1.2.3/24' }] } },
    gives: result({ ips: [{ address: '10.1.2.3/24' }] }),
  },
  {
    it: 'a 0.4.0 prevResult without ips[].version gets it from the address, or is refused',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      cniVersion: '0.4.0',
      prevResult: { cniVersion: '0.4.0', ips: [{ address: '10.1.2.3/24' }, { address: 'fd00::3/64' }] },
    },
    gives: either(
      result({
        ips: [
          { version: '4', address: '10.1.2.3/24' },
          { version: '6', address: 'fd00::3/64' },
        ],
      }),
      error(7, 'prevResult'),
    ),
  },
  {
    it: 'a route of another table cannot be told in 0.4.0',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      cniVersion: '0.4.0',
      prevResult: { cniVersion: '1.1.0', routes: [{ dst: '10.77.0.0/16' }, { dst: '10.78.0.0/16', table: 100 }] },
    },
    gives: error(7, 'prevResult.routes[1]'),
  },
]

const with10 = (part: object) => ({ cniVersion: '1.0.0', ...part })
const malformed: Vector[] = [
  {
    it: 'ADD without prevResult is refused by a plugin that is chained',
    source: PROMISE,
    verb: 'ADD',
    conf: { prevResult: undefined },
    gives: error(7, 'prevResult'),
  },
  {
    it: 'ADD with a prevResult null is refused the same way',
    source: PROMISE,
    verb: 'ADD',
    conf: { prevResult: null },
    gives: error(7, 'prevResult'),
  },
  ...(
    [
      ['that is a string', 'text', 'prevResult'],
      ['that is a number', 5, 'prevResult'],
      ['that is an array', [], 'prevResult'],
      ['in a version nobody has heard of', { ...previous('1.0.0'), cniVersion: '9.9.9' }, 'prevResult.cniVersion'],
      ['in version 0.2.0', { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24' } }, 'prevResult'],
      ['with a version that is a number', { ...previous('1.0.0'), cniVersion: 1 }, 'prevResult.cniVersion'],
      ['with interfaces that are no list', with10({ interfaces: { name: 'eth0' } }), 'prevResult.interfaces'],
      ['with an interface that is a word', with10({ interfaces: ['eth0'] }), 'prevResult.interfaces[0]'],
      [
        'with an interface name that is a number',
        with10({ interfaces: [{ name: 0 }] }),
        'prevResult.interfaces[0].name',
      ],
      ['with addresses that are no list', with10({ ips: '10.1.2.3/24' }), 'prevResult.ips'],
      [
        'with an address without its prefix length',
        with10({ ips: [{ address: '10.1.2.3' }] }),
        'prevResult.ips[0].address',
      ],
      ['with an address of 33 bits', with10({ ips: [{ address: '10.1.2.3/33' }] }), 'prevResult.ips[0].address'],
      ['with an address in octal', with10({ ips: [{ address: '010.1.2.3/24' }] }), 'prevResult.ips[0].address'],
      ['with an address that is a word', with10({ ips: [{ address: 'dhcp' }] }), 'prevResult.ips[0].address'],
      [
        'with a gateway that has a prefix length',
        with10({ ips: [{ address: '10.1.2.3/24', gateway: '10.1.2.1/24' }] }),
        'prevResult.ips[0].gateway',
      ],
      [
        'with an interface index that is a word',
        with10({ ips: [{ address: '10.1.2.3/24', interface: 'eth0' }] }),
        'prevResult.ips[0].interface',
      ],
      ['with a route that goes nowhere', with10({ routes: [{ dst: 'default' }] }), 'prevResult.routes[0].dst'],
      [
        'with a route through a word',
        with10({ routes: [{ dst: '10.0.0.0/8', gw: 'host' }] }),
        'prevResult.routes[0].gw',
      ],
      ['with routes that are no list', with10({ routes: {} }), 'prevResult.routes'],
      ['with dns that is a list', with10({ dns: [] }), 'prevResult.dns'],
      [
        'with nameservers that are no list',
        with10({ dns: { nameservers: '10.96.0.10' } }),
        'prevResult.dns.nameservers',
      ],
    ] as const
  ).map(
    ([what, prevResult, path]): Vector => ({
      it: `ADD after a prevResult ${what} is refused`,
      source: CNI.prevResult,
      verb: 'ADD',
      conf: { prevResult },
      gives: refused(7, path),
    }),
  ),
  {
    it: 'the shape of 0.2.0 is not taken for a Result that says nothing',
    source: PROMISE,
    verb: 'ADD',
    conf: { prevResult: { ip4: { ip: '10.1.2.3/24', gateway: '10.1.2.1' } } },
    gives: error(7, /^prevResult.*ip4/),
  },
  {
    it: 'a prevResult entry without an address is refused',
    source: PROMISE,
    verb: 'ADD',
    conf: { prevResult: with10({ ips: [{ gateway: '10.1.2.1' }] }) },
    gives: error(7, 'prevResult.ips[0].address'),
  },
]

conform('Result', [...passedOn, ...nulls, ...otherVersion, ...malformed])
