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
  sameResult,
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

const kept = (prevResult: object): Pick<Vector, 'source' | 'verb' | 'conf' | 'gives'> => ({
  source: PROMISE,
  verb: 'ADD',
  conf: { prevResult },
  gives: exactly(prevResult),
})

/** What the plugin does not know is not its own to change. */
const unknown: Vector[] = [
  {
    it: 'unknown keys of prevResult survive at every level',
    ...kept({
      cniVersion: '1.0.0',
      'example.com/top': { a: [1, { b: null }], '': 0 },
      interfaces: [{ name: 'eth0', 'example.com/link': true }],
      ips: [{ address: '10.1.2.3/24', 'example.com/lease': 3600 }],
      routes: [{ dst: '10.77.0.0/16', 'example.com/why': '"quoted"\n' }],
      dns: { domain: 'x', 'example.com/dns': [[]] },
    }),
  },
  {
    it: 'keys that every JavaScript object has survive as any other',
    ...kept({ cniVersion: '1.0.0', constructor: 1, toString: 'x', hasOwnProperty: null, valueOf: { toString: [] } }),
  },
  {
    it: 'a key __proto__ survives',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      prevResult: JSON.parse('{"cniVersion":"1.0.0","__proto__":{"a":1},"interfaces":[{"name":"eth0","__proto__":2}]}'),
    },
    gives: result(),
    prints: /(?=.*"__proto__":\s*\{"a":\s*1\})(?=.*"__proto__":\s*2)/s,
  },
  ...['9007199254740993', '-123456789012345678901234567890', '0.1234567890123456789', '1e400'].map(
    (number): Vector => ({
      it: `the number ${number} survives, which no double can hold`,
      source: PROMISE,
      verb: 'ADD',
      stdin: (conf) => conf.replace('"prevResult":{', `"prevResult":{"example.com/number":${number},`),
      gives: result(),
      prints: new RegExp(`"example\\.com/number":\\s*${number.replaceAll('.', '\\.')}\\b`),
    }),
  ),
  {
    it: 'a lone surrogate survives, as an escape',
    source: PROMISE,
    verb: 'ADD',
    stdin: (conf) => conf.replace('"prevResult":{', '"prevResult":{"example.com/text":"\\ud800 \\u0000 \\u2028",'),
    gives: result(),
    prints: /"example\.com\/text":\s*"\\ud800 \\u0000 (\\u2028|\u2028)"/,
  },
  {
    it: 'characters beyond ASCII survive',
    ...kept({ cniVersion: '1.0.0', 'größe-网-🦀': '\u{1F980} gefäß \u007f <&>' }),
  },
  {
    it: 'of two equal keys of prevResult the last one survives',
    source: CNI.prevResult,
    verb: 'ADD',
    stdin: (conf) => conf.replace('"prevResult":{', '"prevResult":{"dns":{"domain":"first"},"ips":5,'),
    gives: result(),
  },
  ...[1_000, 10_000, 200_000].map(
    (depth): Vector => ({
      it: `an unknown key of prevResult that is ${depth} arrays deep survives, or is refused before any change`,
      source: PROMISE,
      verb: 'ADD',
      stdin: (conf) => conf.replace('"prevResult":{', `"prevResult":{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`),
      gives: either(result(), error(6)),
      prints: /"deep":\s*\[\[|"code":\s*6\b/,
    }),
  ),
  {
    it: 'a Result of 2 MiB arrives whole',
    ...kept({ cniVersion: '1.0.0', 'example.com/blob': 'x'.repeat(2 * 1024 * 1024) }),
  },
  {
    it: 'a Result of 2 MiB arrives whole where the reader of the pipe is slow and does not block',
    ...kept({ cniVersion: '1.0.0', 'example.com/blob': 'x'.repeat(2 * 1024 * 1024) }),
    shell: `perl -MFcntl -e 'fcntl STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK; exec $ARGV[0]' "$0" | { sleep 0.3; cat; }`,
  },
]

const LINK = '169.254.1.1 dev eth0 scope link'
const DEFAULT4 = 'default via 169.254.1.1 dev eth0'
const DEFAULT6 = 'default via fe80::ecee:eeff:feee:eeee dev eth0 metric 1024'
const POD6 = 'fd00:10:199::153 dev eth0 proto kernel metric 256'

/** A first plugin that says what it has done: ptp, bridge, macvlan do. */
const PTP = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod' }],
  ips: [{ interface: 0, address: '10.199.3.153/32', gateway: '169.254.1.1' }],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '10.77.0.0/16' }, { dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' }],
}

const changed: Vector[] = [
  {
    it: 'removed defaults leave the Result, and added routes join it in the order of the configuration',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      defaultRoute: 'remove',
      routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48' }, { dst: '10.40.0.0/16', scope: 'link' }],
      prevResult: PTP,
    },
    gives: exactly({
      ...PTP,
      routes: [
        { dst: '10.77.0.0/16' },
        { dst: '10.50.0.0/16', gw: '169.254.1.1' },
        { dst: 'fd00:10:50::/48', gw: 'fe80::ecee:eeff:feee:eeee' },
        { dst: '10.40.0.0/16' },
      ],
    }),
    leaves: [
      LINK,
      POD6,
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'fd00:10:50::/48 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
      '10.40.0.0/16 dev eth0 proto 142 scope link',
    ],
  },
  {
    it: 'each family has its own default',
    source: PROMISE,
    verb: 'ADD',
    conf: { defaultRoute: { ipv4: 'keep', ipv6: 'remove' }, prevResult: PTP },
    gives: exactly({ ...PTP, routes: [{ dst: '0.0.0.0/0' }, { dst: '10.77.0.0/16' }] }),
    leaves: [LINK, DEFAULT4, POD6],
  },
  {
    it: 'a family that is not named loses its default, as both do where nothing is said',
    source: PROMISE,
    verb: 'ADD',
    conf: { defaultRoute: { ipv6: 'keep' }, prevResult: PTP },
    gives: result({ routes: [{ dst: '10.77.0.0/16' }, { dst: '::/0' }] }),
    leaves: [LINK, DEFAULT6, POD6],
  },
  {
    it: 'removing is the default',
    source: PROMISE,
    verb: 'ADD',
    conf: { defaultRoute: undefined, prevResult: PTP },
    gives: exactly({ ...PTP, routes: [{ dst: '10.77.0.0/16' }] }),
    leaves: [LINK, POD6],
  },
  {
    it: 'a route that prevResult has already is replaced, not doubled',
    source: PROMISE,
    verb: 'ADD',
    conf: { routes: [{ dst: '10.77.0.0/16', gw: '169.254.1.1' }], prevResult: PTP },
    gives: result({ routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }, { dst: '10.77.0.0/16', gw: '169.254.1.1' }] }),
    leaves: [LINK, DEFAULT4, DEFAULT6, POD6, '10.77.0.0/16 via 169.254.1.1 dev eth0 proto 142'],
  },
  {
    it: "Calico's block route, which no kernel holds, leaves the Result",
    source: PROMISE,
    verb: 'ADD',
    conf: {
      defaultRoute: 'remove',
      prevResult: { ...PTP, routes: [{ dst: '10.199.3.153/26' }, { dst: 'fd00:10:199::153/122' }] },
    },
    gives: exactly({ ...PTP, routes: [] }),
    leaves: [LINK, POD6],
  },
  {
    it: 'in 1.1.0 a Result says everything about a route, a 0 too',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      cniVersion: '1.1.0',
      routes: [{ dst: '10.50.0.0/16', priority: 50, mtu: 1400, advmss: 1360, table: 0, scope: 0 }],
      prevResult: { cniVersion: '1.1.0' },
    },
    gives: exactly({
      cniVersion: '1.1.0',
      routes: [{ dst: '10.50.0.0/16', gw: '169.254.1.1', priority: 50, mtu: 1400, advmss: 1360, table: 0, scope: 0 }],
    }),
    leaves: [
      LINK,
      DEFAULT4,
      DEFAULT6,
      POD6,
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 metric 50 mtu 1400 advmss 1360',
    ],
  },
  {
    it: 'in 1.0.0 a Result says of a route what that version knows, and nothing of other tables',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      routes: [
        { dst: '10.50.0.0/16', priority: 50, mtu: 1400 },
        { dst: '10.60.0.0/16', table: 100 },
      ],
      prevResult: { cniVersion: '1.0.0' },
    },
    gives: exactly({ cniVersion: '1.0.0', routes: [{ dst: '10.50.0.0/16', gw: '169.254.1.1' }] }),
    leaves: [LINK, DEFAULT4, DEFAULT6, POD6, '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 metric 50 mtu 1400'],
  },
  {
    it: 'a dry run passes prevResult on, says what it would do, and does nothing',
    source: PROMISE,
    verb: 'ADD',
    conf: { dryRun: true, defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16' }], prevResult: PTP },
    gives: exactly(PTP),
    logs: /"level":"warn".*10\.50\.0\.0\/16/,
  },
  ...VERSIONS.map(
    (cniVersion): Vector => ({
      it: `ADD again in ${cniVersion} gives the same Result, and changes nothing`,
      source: PROMISE,
      after: [{ verb: 'ADD' }],
      verb: 'ADD',
      conf: {
        cniVersion,
        defaultRoute: 'remove',
        routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48', priority: 7 }],
      },
      gives: sameResult,
    }),
  ),
]

conform('Result', [...passedOn, ...nulls, ...otherVersion, ...malformed, ...unknown, ...changed])
