import { conform } from './conform.ts'
import { CNI, error, nothing, PROMISE, refused, result, SPEC, type Vector } from './vector.ts'

/** pkg/utils/utils.go: at most 15 bytes, not . or .., and no slash, colon or white space. */
const invalid: Vector[] = [
  ...[
    '.',
    '..',
    'a/b',
    'a:b',
    'a b',
    'a\tb',
    'eth0\n',
    ' eth0',
    '\u00a0x',
    '\u2003x',
    'x'.repeat(16),
    'é'.repeat(8),
  ].map(
    (ifname): Vector => ({
      it: `interface name ${JSON.stringify(ifname)} is refused`,
      source: CNI.names,
      verb: 'ADD',
      env: { CNI_IFNAME: ifname },
      gives: error(4, 'CNI_IFNAME'),
    }),
  ),
  ...['CHECK', 'DEL'].map(
    (verb): Vector => ({
      it: `${verb} refuses an invalid interface name as ADD does`,
      source: CNI.skel,
      verb,
      env: { CNI_IFNAME: '../eth0' },
      gives: error(4, 'CNI_IFNAME'),
    }),
  ),
]

/** Names the kernel allows, chosen for what a shell, an option parser or ip(8) would make of them. */
const NASTY = [
  ['-x', 'an option'],
  ['--help', 'a long option'],
  ['-force', 'an option of ip'],
  ['$(id)', 'a command substitution'],
  ['`id`', 'an old command substitution'],
  [';id', 'the end of a command'],
  ['a|b&c', 'a pipeline'],
  ['*', 'a pattern'],
  ['~', 'a home directory'],
  ['>x', 'a redirection'],
  ['dev', 'a keyword of ip route'],
  ['via', 'another keyword of ip route'],
  ['proto', 'what marks our routes'],
  ['nexthop', 'the begin of a multipath route'],
  ['local', 'a type of routes'],
  ['none', 'no interface'],
  ['0', 'a number'],
  ['10.0.0.1', 'an address'],
  ['if2', "the index of the pod's other interface"],
  ['eth0@if3', 'how ip prints a veth'],
  ['eth0.100', 'a VLAN'],
  ['__proto__', 'a key of every object'],
  ['größe', 'letters beyond ASCII'],
  ['exactly15bytes_', 'the longest possible'],
] as const

/** A second interface of the pod, wired as Calico wires eth0. The name is quoted for the shell that feeds ip. */
const attach = (ifname: string): string => {
  const name = ifname.replaceAll(/[\\$`]/g, '\\$&')
  return `
    link add dev ${name} type veth peer name peer0
    link set dev ${name} up
    link set dev peer0 up
    route add 169.254.1.9 dev ${name} scope link
    route add 0.0.0.0/0 via 169.254.1.9 dev ${name} metric 50`
}

const ETH0 = [
  '169.254.1.1 dev eth0 scope link',
  'default via 169.254.1.1 dev eth0',
  'default via fe80::ecee:eeff:feee:eeee dev eth0 metric 1024',
  'fd00:10:199::153 dev eth0 proto kernel metric 256',
]

const CONF = { defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16' }] }

const nasty: Vector[] = [
  ...NASTY.map(
    ([ifname, looksLike]): Vector => ({
      it: `ADD changes the interface ${ifname}, which looks like ${looksLike}, and no other`,
      source: PROMISE,
      after: [{ ip: attach(ifname) }],
      verb: 'ADD',
      env: { CNI_IFNAME: ifname },
      conf: CONF,
      gives: result({ routes: [{ dst: '10.50.0.0/16', gw: '169.254.1.9' }] }),
      leaves: [...ETH0, `169.254.1.9 dev ${ifname} scope link`, `10.50.0.0/16 via 169.254.1.9 dev ${ifname} proto 142`],
    }),
  ),
  ...['-x', '$(id)', 'dev', 'if2', 'größe'].map((ifname): Vector => {
    const env = { CNI_IFNAME: ifname }
    return {
      it: `ADD, CHECK and DEL agree on the interface ${ifname}`,
      source: PROMISE,
      after: [{ ip: attach(ifname) }, { verb: 'ADD', env }, { verb: 'CHECK', env }],
      verb: 'DEL',
      env,
      conf: CONF,
      gives: nothing,
      leaves: [...ETH0, `169.254.1.9 dev ${ifname} scope link`],
    }
  }),
]

/** No batch of ip(8) can carry these characters; the kernel could. */
const unwritable: Vector[] = ['a#b', '#', 'a"b', "a'b", 'a\\b', '\\'].flatMap((ifname): Vector[] => [
  ...['ADD', 'CHECK'].map(
    (verb): Vector => ({
      it: `${verb} refuses the interface ${ifname}, which no batch of ip could name`,
      source: PROMISE,
      verb,
      env: { CNI_IFNAME: ifname },
      gives: error(4, 'CNI_IFNAME'),
    }),
  ),
  {
    it: `DEL from the interface ${ifname} has nothing to do`,
    source: SPEC.del,
    verb: 'DEL',
    env: { CNI_IFNAME: ifname },
    gives: nothing,
  },
])

const missing: Vector[] = ['net7', 'a%d', 'if2', '-x', '@', 'default', 'all', 'größe'].flatMap((ifname): Vector[] => [
  {
    it: `ADD on ${ifname} is refused where the pod has no such interface`,
    source: PROMISE,
    verb: 'ADD',
    env: { CNI_IFNAME: ifname },
    conf: { defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16', scope: 'link' }] },
    gives: error(4, 'CNI_IFNAME'),
  },
  {
    it: `CHECK of ${ifname} finds that the pod has no such interface`,
    source: SPEC.check,
    verb: 'CHECK',
    env: { CNI_IFNAME: ifname },
    gives: refused(110, '', /(?:)/),
  },
  {
    it: `DEL from ${ifname} has nothing to do where the pod has no such interface`,
    source: SPEC.del,
    verb: 'DEL',
    env: { CNI_IFNAME: ifname },
    gives: nothing,
  },
])

/** What else lives in the pod is none of our business. Each name as a batch of ip(8) writes it. */
const neighbours: Vector[] = Object.entries({
  'a quote': `"it's"`,
  'a double quote': `'a"b'`,
  'a control character': 'a\u0001b',
  'letters beyond ASCII': 'größe',
  'the keyword of our own routes': 'proto',
}).map(
  ([what, written]): Vector => ({
    it: `another interface of the pod may have a name with ${what}`,
    source: PROMISE,
    after: [{ ip: `link add dev ${written} type veth peer name peer0` }],
    verb: 'ADD',
    conf: { defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16' }] },
    gives: result({ routes: [{ dst: '10.50.0.0/16', gw: '169.254.1.1' }] }),
    leaves: [
      '169.254.1.1 dev eth0 scope link',
      'fd00:10:199::153 dev eth0 proto kernel metric 256',
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ],
  }),
)

const others: Vector[] = [
  {
    it: 'an alternative name of an interface is not its name',
    source: PROMISE,
    after: [{ ip: 'link property add dev eth0 altname calico0' }],
    verb: 'ADD',
    env: { CNI_IFNAME: 'calico0' },
    conf: { defaultRoute: 'remove' },
    gives: error(4, 'CNI_IFNAME'),
  },
  {
    it: 'an interface that is down can be left as it is',
    source: PROMISE,
    after: [{ ip: 'link set eth0 down' }],
    verb: 'ADD',
    gives: result(),
  },
  {
    it: 'an interface name differs from another by case',
    source: PROMISE,
    verb: 'ADD',
    env: { CNI_IFNAME: 'ETH0' },
    gives: error(4, 'CNI_IFNAME'),
  },
]

conform('interface name', [...invalid, ...nasty, ...unwritable, ...missing, ...neighbours, ...others])
