/** Documents as a runtime could send them: nearly right in structure, and wrong in one place or in several. */
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { EXAMPLES } from '../support/attributes.ts'

const rarely = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
/** One of these, or now and then something that nobody expects there. */
const mostly = (...values: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 60, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: ODD })

const ODD_TEXTS = [
  '',
  ' ',
  '\n',
  '\0',
  'a\nroute flush table main',
  '10.50.0.0/16 dev lo',
  '10.50.0.0/16\n',
  '-batch',
  '../..',
  '$(reboot)',
  '`id`',
  '#',
  "'",
  '\\',
  '\u2028',
  '\ud800',
  '\u001b[31m',
  'é'.repeat(20),
  'x'.repeat(300),
  '1'.repeat(40),
  '0x10',
  '010.0.0.1',
  '::ffff:10.0.0.1',
  'fe80::1%eth0',
  'constructor',
  '__proto__',
  'toString',
  'null',
]
const ODD_NUMBERS = [0, -0, -1, 0.5, 255, 256, 1e21, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, Number.MAX_VALUE, 5e-324]

/** A value that has no business where it stands. */
export const ODD: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, [], {}, [[]], [null], { dst: {} }, ...ODD_TEXTS, ...ODD_NUMBERS),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.jsonValue({ maxDepth: 2 }),
)

const ADDRESSES = ['10.50.0.1', '169.254.1.1', '10.199.3.153', 'fe80::1', 'fd00:10:199::153', '0.0.0.0', '::']
const PREFIXES = [
  '10.50.0.0/16',
  '10.199.0.0/16',
  'fd00:10:50::/48',
  '10.50.0.1/32',
  '0.0.0.0/0',
  '::/0',
  '10.50.0.1/16',
]
const IFNAMES = ['eth0', 'net1', 'lo', 'eth0:1', 'a#b', 'a"b']

/** The sets of the node. There is one more that somebody names. */
export const SETS: Readonly<Record<string, string>> = {
  underlay: '# of the data centre\n10.50.0.0/16\n10.199.0.0/16\nfd00:10:50::/48\n',
  four: '10.50.0.0/16\n172.16.0.0/12',
  empty: '',
  bad: '10.50.0.1/16\n0.0.0.0/0\n10.50.0.0/16 dev lo\n',
}
/** Where the executable finds them. */
export const SETS_DIR = path.join(tmpdir(), `xcr-fuzz-sets-${process.pid}`)
const setName = mostly(...Object.keys(SETS), 'underlay', 'four', 'missing')

const ROUTE_KEYS = {
  dst: mostly(...PREFIXES),
  set: setName,
  gw: mostly(...ADDRESSES),
  dev: mostly(...IFNAMES),
  src: mostly(...ADDRESSES),
  priority: mostly(0, 50, 1024, 4294967295),
  table: mostly(0, 100, 254, 255, 4294967295),
  scope: mostly('link', 'global', 'nowhere', 0, 253),
  ...Object.fromEntries(EXAMPLES.map(({ name, values, wrong }) => [name, mostly(...values, ...values, ...wrong)])),
  mtu: mostly(68, 1280, 1400, 65535),
  onlink: mostly(true, false),
}
/** A route whose words go together, in the pod of decide.ts. */
const sound = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record(
    {
      dst: mostly(
        ...(family === 4 ? ['10.50.0.0/16', '10.199.0.0/16', '172.16.0.0/12'] : ['fd00:10:50::/48', 'fd00:1::/64']),
      ),
      gw: mostly(family === 4 ? '169.254.1.1' : 'fe80::1'),
      src: mostly(family === 4 ? '10.199.3.153' : 'fd00:10:199::153'),
      dev: mostly('eth0'),
      priority: mostly(0, 50, 1024, 4294967295),
      table: mostly(0, 100, 254, 4294967295),
      ...Object.fromEntries(EXAMPLES.map(({ name, values }) => [name, mostly(...values)])),
    },
    { requiredKeys: ['dst'] },
  ),
)
/** The keys that fit both families. */
const soundSet = fc.record(
  {
    set: mostly('underlay', 'underlay', 'four', 'four', 'empty', 'missing'),
    priority: mostly(0, 50, 1024, 4294967295),
    table: mostly(0, 100, 254, 4294967295),
    mtu: mostly(1280, 1400),
  },
  { requiredKeys: ['set'] },
)
const configuredRoute = fc.oneof(
  { weight: 30, arbitrary: sound },
  { weight: 4, arbitrary: soundSet },
  { weight: 1, arbitrary: fc.record(ROUTE_KEYS, { requiredKeys: ['dst'] }) },
  { weight: 1, arbitrary: fc.record(ROUTE_KEYS, { requiredKeys: ['set'] }) },
  { weight: 1, arbitrary: ODD },
)
const disposition = mostly('remove', 'demote', 'keep', { ipv4: 'keep' }, { ipv4: 'remove', ipv6: 'demote' })
const gatewayObject = fc.record(
  {
    ipv4: mostly('auto', '10.0.1.1'),
    ipv6: mostly('auto', 'fe80::1'),
    dev: mostly('eth0', 'net1', 'net1'),
    priority: mostly(0, 50, 4096),
    onlink: mostly(true, false),
  },
  { requiredKeys: [] },
)
const ovnGateway = fc.oneof(mostly('auto', 'auto', '10.0.1.1', {}), gatewayObject)
const overrides = fc.record({
  allow: mostly([], ['routes'], ['routes', 'missingFamily', 'ovnGateway', 'kubevirt', 'defaultRoute', 'dryRun']),
  within: mostly([], ['0.0.0.0/0', '::/0'], ['10.50.0.0/16']),
})
const OUR_KEYS = {
  defaultRoute: disposition,
  routes: fc.array(configuredRoute, { maxLength: 3 }),
  missingFamily: mostly('refuse', 'skip', 'skip'),
  ovnGateway,
  kubevirt: mostly(true, false),
  dryRun: mostly(false),
}

/** `prevResult` as plugins of any version print it, or nearly so. */
const prevResult: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record(
      {
        cniVersion: mostly('0.3.1', '1.0.0', '1.1.0'),
        interfaces: fc.array(
          fc.record(
            {
              name: mostly('eth0', 'cali1'),
              mac: mostly('da:8f:31:5c:02:7e'),
              sandbox: mostly('/n', ''),
              mtu: mostly(1500),
            },
            { requiredKeys: ['name'] },
          ),
          { maxLength: 2 },
        ),
        ips: fc.array(
          fc.record(
            {
              address: mostly('10.199.3.153/32', 'fd00:10:199::153/128'),
              gateway: mostly('10.0.1.1', 'fd00::1', null),
            },
            { requiredKeys: ['address'] },
          ),
          { maxLength: 2 },
        ),
        routes: fc.array(
          fc.record(
            { dst: mostly(...PREFIXES), gw: mostly(...ADDRESSES, null), table: mostly(0, 254), priority: mostly(50) },
            { requiredKeys: ['dst'] },
          ),
          { maxLength: 3 },
        ),
        dns: mostly({}, null, { nameservers: ['10.0.0.10'] }),
        unknown: ODD,
      },
      { requiredKeys: ['cniVersion'] },
    ),
  },
  { weight: 1, arbitrary: ODD },
)

/** A network configuration with prevResult: some in three are right in every word. */
export const configuration: fc.Arbitrary<object> = fc
  .record({
    fixed: fc.record({
      cniVersion: mostly('0.3.1', '0.4.0', '1.0.0', '1.1.0', '1.1.0', '1.1.0'),
      name: mostly('k8s-pod-network'),
      type: mostly('x-calico-route'),
      prevResult,
      setsDir: mostly(SETS_DIR),
    }),
    ours: fc.record(OUR_KEYS, { requiredKeys: ['routes'] }),
    overrides: rarely(overrides),
    cniArgs: rarely(fc.oneof(fc.record(OUR_KEYS, { requiredKeys: [] }), ODD)),
    log: rarely(fc.record({ logLevel: mostly('debug', 'info', 'error') })),
  })
  .map(({ fixed, ours, overrides: allowed, cniArgs, log }) => ({
    ...fixed,
    ...ours,
    ...(allowed === undefined ? {} : { overrides: allowed }),
    ...(cniArgs === undefined ? {} : { args: { cni: cniArgs } }),
    ...log,
  }))

/** The environment of a call. A real one has neither NUL nor half a surrogate pair. */
export const environment: fc.Arbitrary<Record<string, string>> = fc
  .record(
    {
      CNI_COMMAND: mostly('ADD', 'ADD', 'ADD', 'CHECK', 'DEL', 'STATUS', 'GC', 'add'),
      CNI_CONTAINERID: mostly('c0ffee'),
      CNI_NETNS: mostly('/var/run/netns/none'),
      CNI_IFNAME: fc.oneof({ weight: 8, arbitrary: fc.constant('eth0') }, { weight: 2, arbitrary: mostly(...IFNAMES) }),
      CNI_PATH: mostly('/opt/cni/bin'),
      CNI_NETNS_OVERRIDE: mostly('', '0', 'no'),
      CNI_ARGS: mostly('IgnoreUnknown=1'),
    },
    { requiredKeys: ['CNI_COMMAND', 'CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'] },
  )
  .map((env) =>
    Object.fromEntries(
      Object.entries(env).map(([key, value]) => [key, String(value).replaceAll('\0', '').toWellFormed()]),
    ),
  )
