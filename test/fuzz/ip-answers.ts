/** What `ip -json` could answer: nearly what iproute2 prints, and wrong in one place or in several. */
import fc from 'fast-check'
import { EXAMPLES, printedAs } from '../support/attributes.ts'
import { ODD } from './documents.ts'

const mostly = (...values: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 80, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: ODD })

/** Words that would say something else to ip(8), were they to come back in a batch. */
const DEVICES = [...Array(8).fill('eth0'), ...Array(8).fill('net1'), 'net2', 'net1\nroute flush table main']
const GATEWAYS = [...Array(8).fill('169.254.1.1'), '10.0.1.1', 'fe80::1', 'fd00:10:0:1::1', '10.0.1.1 dev lo']

const hop = fc.record(
  { gateway: mostly(...GATEWAYS), dev: mostly(...DEVICES), weight: mostly(1, 2), flags: mostly([], ['onlink']) },
  { requiredKeys: ['dev', 'weight', 'flags'] },
)
const METRICS = [
  ...EXAMPLES.map((example) => printedAs(example, example.values[0])),
  Object.assign({}, ...EXAMPLES.map((example) => printedAs(example, example.values[0]))),
  { advmss: 1000, ssthresh: 500 },
  { quickack: 7, congestion: 'lock' },
  { rto_min: '1s' },
  { lock: ['mtu'] },
  {},
]

const route = fc.record(
  {
    type: mostly('1', '1', '1', '6', '7'),
    dst: mostly('default', 'default', '10.50.0.0/16', 'fd00:10:50::/48', '169.254.1.1', 'fe80::/64'),
    gateway: mostly(...GATEWAYS),
    via: mostly({ family: 'inet6', host: 'fe80::1' }),
    dev: mostly(...DEVICES),
    table: mostly('254', '254', '100', '255'),
    protocol: mostly('2', '3', '142', '143', '144', '145'),
    scope: mostly('0', '253'),
    prefsrc: mostly('10.199.3.153', 'fd00:10:199::153'),
    metric: mostly(0, 50, 1024, 4026531840, 4026532864),
    flags: mostly([], ['onlink'], ['linkdown']),
    pref: mostly('medium', 'high'),
    expires: mostly(30),
    metrics: fc.array(mostly(...METRICS), { maxLength: 1 }),
    nexthops: fc.array(hop, { maxLength: 2 }),
    nhid: mostly(7),
    tos: mostly('0x10'),
    from: mostly('fd00::/16'),
    encap: mostly('mpls'),
  },
  { requiredKeys: ['dst', 'dev', 'protocol', 'flags'] },
)
/** A default route as Calico, kube-ovn and this plugin leave one: what most decisions are about. */
const ordinary = fc.constantFrom(
  { dst: 'default', gateway: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '0', flags: [] },
  { dst: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '253', flags: [] },
  { dst: 'default', gateway: 'fe80::1', dev: 'eth0', protocol: '3', metric: 1024, flags: [], pref: 'medium' },
  { dst: 'default', gateway: '10.0.1.1', dev: 'net1', protocol: '144', scope: '0', metric: 4026531840, flags: [] },
  { dst: '10.0.1.0/24', dev: 'net1', protocol: '2', scope: '253', prefsrc: '10.0.1.10', flags: [] },
)

export const routesAnswer: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 15, arbitrary: fc.array(fc.oneof(ordinary, ordinary, route), { maxLength: 5 }) },
  { weight: 1, arbitrary: ODD },
)

const link = fc.record(
  {
    ifname: mostly('eth0', 'net1', 'lo'),
    flags: mostly(['UP'], ['BROADCAST', 'UP'], []),
    linkinfo: mostly({ info_kind: 'veth' }, { info_kind: 'dummy' }),
    addr_info: fc.array(
      fc.oneof(fc.record({ local: mostly('10.199.3.153', 'fd00:10:199::153', 'fe80::5') }), fc.constant({})),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: ['ifname', 'flags'] },
)
const POD = ['lo', 'eth0', 'net1'].map((ifname) => ({
  ifname,
  flags: ['UP'],
  linkinfo: { info_kind: 'veth' },
  addr_info: [{ local: '10.199.3.153' }, { local: 'fd00:10:199::153' }],
}))

export const linksAnswer: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(POD) },
  { weight: 4, arbitrary: fc.array(link, { maxLength: 3 }).map((links) => [...POD, ...links]) },
  { weight: 1, arbitrary: ODD },
)
