import { conform } from './conform.ts'
import { type Conf, error, nothing, PROMISE, refused, result, SPEC, VERSIONS, type Vector } from './vector.ts'

const DST = '10.50.0.0/16'

/** A configuration, and what its first problem is called. */
const WRONG: readonly (readonly [string, Conf, string | RegExp])[] = [
  ['a disposition nobody knows', { defaultRoute: 'delete' }, /^defaultRoute\b.*remove.*keep/],
  ['a key of ours in other letters', { defaultroute: 'keep' }, /^defaultroute\b.*defaultRoute/],
  ['a key of ours with a letter too few', { ovnGatway: 'auto' }, /^ovnGatway\b.*ovnGateway/],
  ["a key of route-override's", { flushgateway: true }, /^flushgateway\b.*route-override.*defaultRoute/],
  ['a disposition in capitals', { defaultRoute: 'Remove' }, /^defaultRoute\b/],
  ['a disposition that every object has', { defaultRoute: 'constructor' }, /^defaultRoute\b/],
  ['a disposition true', { defaultRoute: true }, /^defaultRoute\b/],
  ['a list of dispositions', { defaultRoute: ['remove'] }, /^defaultRoute\b/],
  [
    'a disposition of a family nobody knows',
    { defaultRoute: { ipv4: 'keep', ip6: 'keep' } },
    /^defaultRoute\.ip6\b.*ipv6/,
  ],
  ['a wrong disposition of one family', { defaultRoute: { ipv6: 'kept' } }, /^defaultRoute\.ipv6\b/],
  ['routes that are no list', { routes: { dst: DST } }, /^routes\b/],
  ['a route that is a word', { routes: [DST] }, /^routes\[0\]:/],
  ['a route that is null', { routes: [{ dst: DST }, null] }, /^routes\[1\]/],
  ['a route without destination', { routes: [{ gw: '10.0.0.1' }] }, /^routes\[0\]\.dst\b/],
  ['a misspelt key', { routes: [{ dst: DST, priorty: 5 }] }, /^routes\[0\]\.priorty\b.*priority/],
  ["a key of iproute2's", { routes: [{ dst: DST, via: '10.0.0.1' }] }, /^routes\[0\]\.via\b.*gw/],
  ["a key of netplan's", { routes: [{ to: DST }] }, /^routes\[0\]\.to\b.*dst|^routes\[0\]\.dst\b/],
  ['a key that every object has', { routes: [{ dst: DST, constructor: 1 }] }, /^routes\[0\]\.constructor\b/],
  ['a destination that is a number', { routes: [{ dst: 10 }] }, /^routes\[0\]\.dst\b/],
  ['a destination without prefix length', { routes: [{ dst: '10.50.0.0' }] }, /^routes\[0\]\.dst\b.*\/32/],
  ['a destination with host bits', { routes: [{ dst: '10.50.0.1/16' }] }, /^routes\[0\]\.dst\b.*10\.50\.0\.0\/16/],
  ['an IPv6 destination with host bits', { routes: [{ dst: 'fd00::1/64' }] }, /^routes\[0\]\.dst\b.*fd00::\/64/],
  ['a destination with leading zeros', { routes: [{ dst: '010.050.0.0/16' }] }, /^routes\[0\]\.dst\b/],
  ['a prefix length with a leading zero', { routes: [{ dst: '10.0.0.0/08' }] }, /^routes\[0\]\.dst\b/],
  ['a prefix length of 33', { routes: [{ dst: '10.50.0.0/33' }] }, /^routes\[0\]\.dst\b/],
  ['a prefix length of 129', { routes: [{ dst: 'fd00::/129' }] }, /^routes\[0\]\.dst\b/],
  ['a netmask', { routes: [{ dst: '10.50.0.0/255.255.0.0' }] }, /^routes\[0\]\.dst\b/],
  ['a destination of three bytes', { routes: [{ dst: '10.50.0/24' }] }, /^routes\[0\]\.dst\b/],
  ['a destination in hexadecimal', { routes: [{ dst: '0x0a320000/16' }] }, /^routes\[0\]\.dst\b/],
  ['a destination in other digits', { routes: [{ dst: '１０.50.0.0/16' }] }, /^routes\[0\]\.dst\b/],
  ['a destination with a blank', { routes: [{ dst: '10.50.0.0/16 ' }] }, /^routes\[0\]\.dst\b/],
  ['a destination of two lines', { routes: [{ dst: '10.50.0.0/16\nroute flush table main' }] }, /^routes\[0\]\.dst\b/],
  ['a destination that is a word', { routes: [{ dst: 'default' }] }, /^routes\[0\]\.dst\b/],
  ['the IPv4 default', { routes: [{ dst: '0.0.0.0/0' }] }, /^routes\[0\]\.dst\b/],
  ['the IPv6 default', { routes: [{ dst: '::/0' }] }, /^routes\[0\]\.dst\b/],
  ['a gateway of the other family', { routes: [{ dst: DST, gw: 'fe80::1' }] }, /^routes\[0\]\.gw\b.*IPv4/],
  ['a gateway with prefix length', { routes: [{ dst: DST, gw: '10.0.0.1/24' }] }, /^routes\[0\]\.gw\b/],
  ['a gateway of zeros', { routes: [{ dst: DST, gw: '0.0.0.0' }] }, /^routes\[0\]\.gw\b/],
  ['an IPv6 gateway of zeros', { routes: [{ dst: 'fd00::/64', gw: '::' }] }, /^routes\[0\]\.gw\b/],
  ['a gateway in loopback', { routes: [{ dst: DST, gw: '127.0.0.1' }] }, /^routes\[0\]\.gw\b/],
  ['an IPv6 gateway in loopback', { routes: [{ dst: 'fd00::/64', gw: '::1' }] }, /^routes\[0\]\.gw\b/],
  ['a multicast gateway', { routes: [{ dst: DST, gw: '224.0.0.1' }] }, /^routes\[0\]\.gw\b/],
  ['an IPv6 multicast gateway', { ovnGateway: { ipv6: 'ff02::1' } }, /^ovnGateway\.ipv6\b/],
  ['a broadcast gateway', { ovnGateway: '255.255.255.255' }, /^ovnGateway\b/],
  ['a multicast source', { routes: [{ dst: DST, src: '224.0.0.1' }] }, /^routes\[0\]\.src\b/],
  ['an IPv6 source of zeros', { routes: [{ dst: 'fd00::/64', src: '::' }] }, /^routes\[0\]\.src\b/],
  ['a gateway with a zone', { routes: [{ dst: 'fd00::/64', gw: 'fe80::1%eth0' }] }, /^routes\[0\]\.gw\b/],
  ['a gateway of two lines', { routes: [{ dst: DST, gw: '10.0.0.1\nlink del eth0' }] }, /^routes\[0\]\.gw\b/],
  ['a gateway and scope link', { routes: [{ dst: DST, gw: '169.254.1.1', scope: 'link' }] }, /^routes\[0\]/],
  [
    'an interface of two lines',
    { routes: [{ dst: DST, gw: '169.254.1.1', dev: 'eth0\nlink del' }] },
    /^routes\[0\]\.dev\b/,
  ],
  ['an interface in quotes', { routes: [{ dst: DST, gw: '169.254.1.1', dev: '"eth0"' }] }, /^routes\[0\]\.dev\b/],
  ['an interface with a comment', { routes: [{ dst: DST, gw: '169.254.1.1', dev: 'eth0#' }] }, /^routes\[0\]\.dev\b/],
  [
    'an interface with a blank',
    { routes: [{ dst: DST, gw: '169.254.1.1', dev: 'eth0 metric 5' }] },
    /^routes\[0\]\.dev\b/,
  ],
  ['a source of the other family', { routes: [{ dst: DST, src: 'fd00::1' }] }, /^routes\[0\]\.src\b/],
  ['a source with prefix length', { routes: [{ dst: DST, src: '10.199.3.153/32' }] }, /^routes\[0\]\.src\b/],
  ['a priority in quotes', { routes: [{ dst: DST, priority: '50' }] }, /^routes\[0\]\.priority\b/],
  ['a negative priority', { routes: [{ dst: DST, priority: -1 }] }, /^routes\[0\]\.priority\b/],
  ['half a priority', { routes: [{ dst: DST, priority: 0.5 }] }, /^routes\[0\]\.priority\b/],
  ['a priority of 33 bits', { routes: [{ dst: DST, priority: 2 ** 32 }] }, /^routes\[0\]\.priority\b/],
  ["the kernel's local table", { routes: [{ dst: DST, table: 255 }] }, /^routes\[0\]\.table\b/],
  ['a table of 33 bits', { routes: [{ dst: DST, table: 2 ** 32 }] }, /^routes\[0\]\.table\b/],
  ['a table by name', { routes: [{ dst: DST, table: 'main' }] }, /^routes\[0\]\.table\b/],
  ['a scope nobody knows', { routes: [{ dst: DST, scope: 'world' }] }, /^routes\[0\]\.scope\b/],
  ['a scope that every object has', { routes: [{ dst: DST, scope: 'toString' }] }, /^routes\[0\]\.scope\b/],
  ['a scope of 256', { routes: [{ dst: DST, scope: 256 }] }, /^routes\[0\]\.scope\b/],
  ['an MTU of nothing', { routes: [{ dst: DST, mtu: 0 }] }, /^routes\[0\]\.mtu\b/],
  ['a huge MTU', { routes: [{ dst: DST, mtu: 2 ** 31 }] }, /^routes\[0\]\.mtu\b/],
  ['a negative MSS', { routes: [{ dst: DST, advmss: -5 }] }, /^routes\[0\]\.advmss\b/],
  ['onlink in quotes', { routes: [{ dst: DST, gw: '10.0.0.1', onlink: 'true' }] }, /^routes\[0\]\.onlink\b/],
  ['a route twice', { routes: [{ dst: DST }, { dst: 'fd00::/48' }, { dst: DST, gw: '169.254.1.1' }] }, /^routes\[2\]/],
  [
    'an IPv6 route twice, written in two ways',
    { routes: [{ dst: 'fd00:0:0::/48' }, { dst: 'FD00::/48' }] },
    /^routes\[1\]/,
  ],
  [
    'a route twice, once with table main by number',
    { routes: [{ dst: DST }, { dst: DST, table: 254 }] },
    /^routes\[1\]/,
  ],
  ['a set whose name is a path', { routes: [{ set: '../passwd' }] }, /^routes\[0\]\.set\b/],
  ['a set in capitals', { routes: [{ set: 'Underlay' }] }, /^routes\[0\]\.set\b.*lower case/],
  ['a set with a line end', { routes: [{ set: 'underlay\n' }] }, /^routes\[0\]\.set\b/],
  ['a set of 64 letters', { routes: [{ set: 'a'.repeat(64) }] }, /^routes\[0\]\.set\b/],
  ['a set beside a destination', { routes: [{ dst: DST, set: 'underlay' }] }, /^routes\[0\]\.set\b.*dst/],
  ['a set that is null', { routes: [{ set: null }] }, /^routes\[0\]\.dst\b.*set/],
  ['a set twice', { routes: [{ set: 'a' }, { set: 'a', mtu: 1400 }] }, /^routes\[1\].*routes\[0\]/],
  ['a set that is a directory', { setsDir: '/usr', routes: [{ set: 'bin' }] }, /^routes\[0\]\.set\b.*\/usr\/bin\b/],
  ['a set that is a device', { setsDir: '/dev', routes: [{ set: 'zero' }] }, /^routes\[0\]\.set\b.*\/dev\/zero\b/],
  ['sets without their directory', { setsDir: 'sets' }, /^setsDir\b/],
  ['sets above', { setsDir: '/srv/../etc' }, /^setsDir\b/],
  ['a dry run in quotes', { dryRun: 'true' }, /^dryRun\b/],
  ['a dry run of 1', { dryRun: 1 }, /^dryRun\b/],
  ['a log level nobody knows', { logLevel: 'verbose' }, /^logLevel\b.*debug/],
  ['a log level that every object has', { logLevel: '__proto__' }, /^logLevel\b/],
  ['a log file without its directory', { logFile: 'x.log' }, /^logFile\b/],
  ['a log file that is a number', { logFile: 5 }, /^logFile\b/],
  ['an empty log file', { logFile: '' }, /^logFile\b/],
]

/** As plugins written in Go read it, whose slices and pointers that are nil are written so. */
const NULL: readonly Conf[] = [
  { defaultRoute: null },
  { defaultRoute: { ipv4: null, ipv6: null } },
  { routes: [{ dst: DST, gw: null, dev: null, src: null, priority: null, table: null, scope: null, mtu: null }] },
]
/** Those with which ADD has nothing to do. */
const IDLE: readonly Conf[] = [
  {
    routes: null,
    setsDir: null,
    ovnGateway: null,
    overrides: null,
    kubevirt: null,
    dryRun: null,
    logLevel: null,
    logFile: null,
  },
  { overrides: { allow: null, within: null }, args: { cni: { routes: null, defaultRoute: null } } },
]
const absent = [
  ...[...NULL, ...IDLE].map((conf) => ['STATUS', conf] as const),
  ...IDLE.flatMap((conf) => ['ADD', 'CHECK', 'DEL'].map((verb) => [verb, conf] as const)),
].map(
  ([verb, conf]): Vector => ({
    it: `${verb} takes null for absent in ${JSON.stringify(conf)}`,
    source: PROMISE,
    verb,
    conf: { cniVersion: '1.1.0', ...conf },
    gives: verb === 'ADD' ? result() : nothing,
  }),
)

/** ADD has refused them; a DEL that fails would leave what the plugins before have made. */
const deleted = [
  { defaultroute: 'keep' },
  { flushgateway: true, addroutes: [] },
  { routes: [{ dst: DST, gw: '::' }] },
  { routes: [{ set: 'no-such-set' }, { set: '../passwd' }] },
  { setsDir: '/nowhere', routes: [{ set: 'no-such-set', dev: 'net1' }] },
].map(
  (conf): Vector => ({
    it: `DEL succeeds with ${JSON.stringify(conf)}`,
    source: PROMISE,
    verb: 'DEL',
    conf,
    gives: nothing,
  }),
)

const wrong: Vector[] = WRONG.map(([what, conf, msg]) => ({
  it: `${what} is refused by its key path`,
  source: PROMISE,
  verb: 'ADD',
  conf,
  gives: error(7, msg),
}))

/** Found in the pod, not in the configuration; still before any change. */
const impossible: Vector[] = [
  {
    it: 'a route whose next hop nobody knows is refused, with what to write',
    source: PROMISE,
    after: [{ ip: 'route del ::/0' }],
    verb: 'ADD',
    conf: { routes: [{ dst: DST }, { dst: 'fd00:10:50::/48' }] },
    gives: error(7, /^routes\[1\].*fd00:10:50::\/48.*eth0.*IPv6.*gw/),
  },
  {
    it: 'a route that stands on another interface is not taken from it',
    source: PROMISE,
    after: [{ ip: 'link set lo up\nroute add 10.50.0.0/16 dev lo' }],
    verb: 'ADD',
    conf: { defaultRoute: 'remove', routes: [{ dst: DST }] },
    gives: error(7, /^routes\[0\]/),
  },
  {
    it: 'a route the kernel refuses leaves the pod as it was',
    source: PROMISE,
    after: [], // in a pod of its own: for a moment the first route is there
    verb: 'ADD',
    conf: { defaultRoute: 'remove', routes: [{ dst: '10.40.0.0/16' }, { dst: DST, gw: '192.0.2.1' }] },
    gives: error(100, /^routes\[1\].*10\.50\.0\.0\/16 via 192\.0\.2\.1/, /unchanged$/),
  },
  {
    it: 'a source address the pod does not have is refused',
    source: PROMISE,
    verb: 'ADD',
    conf: { defaultRoute: 'remove', routes: [{ dst: 'fd00:10:50::/48' }, { dst: DST, src: '10.1.2.3' }] },
    gives: error(7, /^routes\[1\]\.src\b.*10\.1\.2\.3/),
  },
]

/** A file of the node that somebody may still write. */
const missing = (['ADD', 'CHECK'] as const).map(
  (verb): Vector => ({
    it: `${verb} with a set that is not there yet asks the runtime to try again later`,
    source: PROMISE,
    verb,
    conf: { setsDir: '/nowhere', routes: [{ dst: DST }, { set: 'underlay' }] },
    gives: error(11, /^routes\[1\]\.set: \/nowhere\/underlay: does not exist yet/),
  }),
)

const objects: Vector[] = [
  {
    it: 'further problems of the same configuration stand in the details',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      routes: [
        { dst: '10.50.0.1/16', gw: 'fe80::1' },
        { dst: DST, priority: -1 },
      ],
      dryRun: 'no',
      ovnGateway: '::',
    },
    gives: error(7, /^routes\[0\]\.dst\b/, /routes\[0\]\.gw\b.*routes\[1\]\.priority\b.*ovnGateway\b.*dryRun\b/),
  },
  {
    it: 'a wrong prevResult is told beside a wrong configuration',
    source: PROMISE,
    verb: 'ADD',
    conf: { routes: [{ dst: 'x' }], prevResult: 'text' },
    gives: error(7, /^routes\[0\]\.dst\b/, /^prevResult\b/),
  },
  {
    it: 'that none came before is told beside a wrong configuration and what a pod may not ask for',
    source: PROMISE,
    verb: 'ADD',
    conf: { logLevel: 'loud', args: { cni: { dryRun: true } }, prevResult: undefined },
    gives: error(7, /^logLevel\b/, /^args\.cni\.dryRun\b.*prevResult\b/),
  },
  ...VERSIONS.map(
    (cniVersion): Vector => ({
      it: `an error in ${cniVersion} says so`,
      source: SPEC.error,
      differs: 'pkg/types prints no version in errors',
      verb: 'ADD',
      conf: { cniVersion, prevResult: 'text' },
      gives: refused(7, 'prevResult'),
      prints: new RegExp(`"cniVersion":\\s*"${cniVersion.replaceAll('.', '\\.')}"`),
    }),
  ),
  {
    it: 'an error in a version the plugin does not have is in one it has',
    source: PROMISE,
    verb: 'ADD',
    conf: { cniVersion: '9.9.9' },
    gives: error(1),
    prints: /"cniVersion":\s*"1\.1\.0"/,
  },
  {
    it: 'a value with line ends, quotes and escapes makes a message of one line',
    source: PROMISE,
    verb: 'ADD',
    conf: { routes: [{ dst: 'a\nb"c\\d\u001b[31m\u2028e' }] },
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is their absence that counts
    gives: error(7, /^[^\n\u001b\u2028]*$/),
  },
  {
    it: 'a value of 1 MiB makes a message that a person can read',
    source: PROMISE,
    verb: 'ADD',
    conf: { routes: [{ dst: 'x'.repeat(1024 * 1024) }] },
    gives: error(7, /^routes\[0\]\.dst.{1,400}$/),
  },
  {
    it: '1,000 problems make an object that a runtime can log',
    source: PROMISE,
    verb: 'ADD',
    conf: { routes: Array.from({ length: 1_000 }, () => ({ dst: 'x' })) },
    gives: error(7, /^routes\[0\]\.dst\b/),
  },
]

conform('errors', [...wrong, ...absent, ...deleted, ...impossible, ...missing, ...objects])
