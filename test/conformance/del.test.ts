import { conform } from './conform.ts'
import { type Call, CNI, nothing, PROMISE, SPEC, type Vector } from './vector.ts'

const ADD: Call = { verb: 'ADD' }
const DEL: Call = { verb: 'DEL' }

const LINK = '169.254.1.1 dev eth0 scope link'
const DEFAULT4 = 'default via 169.254.1.1 dev eth0'
const DEFAULT6 = 'default via fe80::ecee:eeff:feee:eeee dev eth0 metric 1024'
const POD6 = 'fd00:10:199::153 dev eth0 proto kernel metric 256'

/** A DEL that fails stops the runtime from deleting what the plugins before this one have made. */
const prevResults: Vector[] = [
  ...Object.entries({
    'no prevResult, as below 0.4.0': undefined,
    'a prevResult null': null,
    'an empty prevResult': {},
    'a prevResult of nulls': { cniVersion: '1.0.0', interfaces: null, ips: null, routes: null, dns: null },
  }).map(
    ([what, prevResult]): Vector => ({
      it: `DEL with ${what} succeeds`,
      source: SPEC.del,
      verb: 'DEL',
      conf: { prevResult },
      gives: nothing,
    }),
  ),
  ...Object.entries({
    'a word': 'text',
    'a list': [],
    'in version 0.2.0': { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24' } },
    'in a version nobody has heard of': { cniVersion: '9.9.9' },
    'full of wrong types': { cniVersion: 5, interfaces: 'eth0', ips: [{ address: 7 }], routes: [null], dns: [] },
  }).map(
    ([what, prevResult]): Vector => ({
      it: `DEL with a prevResult that is ${what} succeeds`,
      source: PROMISE,
      verb: 'DEL',
      conf: { prevResult },
      gives: nothing,
    }),
  ),
]

/** As deep as libcni itself decodes and hands on. */
const deep: Vector[] = [1_000, 9_000].map((depth) => ({
  it: `DEL with a prevResult ${depth} arrays deep succeeds`,
  source: CNI.libcni,
  verb: 'DEL',
  stdin: (conf) => conf.replace('"prevResult":{', `"prevResult":{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`),
  gives: nothing,
}))

const configurations: Vector[] = Object.entries({
  'no network name': { name: undefined },
  'a wrong network name': { name: '../x' },
  'wrong types': { routes: 5, defaultRoute: [], dryRun: 'yes', logLevel: 3, logFile: {} },
  'a wrong route': { routes: [{ dst: '10.50.0.1/16', gateway: 'x' }] },
  'a key that ADD refuses': { routes: [{ dst: '10.50.0.0/16', color: 'red' }] },
  'a log file that cannot be': { logFile: '/proc/nowhere/log' },
}).map(([what, conf]) => ({
  it: `DEL with ${what} in its configuration succeeds`,
  source: PROMISE,
  verb: 'DEL',
  conf,
  gives: nothing,
  logs: /(?:)/,
}))

const repeated: Vector[] = [
  {
    it: 'DEL without an ADD before has nothing to do',
    source: SPEC.del,
    verb: 'DEL',
    gives: nothing,
  },
  {
    it: 'DEL again has nothing to do',
    source: SPEC.del,
    after: [ADD, DEL],
    verb: 'DEL',
    gives: nothing,
  },
  {
    it: 'DEL a third time, when the namespace is unpinned, has nothing to do',
    source: SPEC.del,
    after: [ADD, DEL, DEL],
    verb: 'DEL',
    env: { CNI_NETNS: '' },
    gives: nothing,
  },
  {
    it: 'DEL when the interface is gone has nothing to do',
    source: SPEC.del,
    after: [ADD, { ip: 'link del eth0' }],
    verb: 'DEL',
    gives: nothing,
  },
  {
    it: 'DEL after an ADD that failed has nothing to do',
    source: SPEC.lifecycle,
    verb: 'DEL',
    conf: { routes: [{ dst: '10.50.0.0/16', gw: '192.0.2.1' }] },
    gives: nothing,
  },
  {
    it: 'DEL of another container does not mind',
    source: CNI.libcni,
    verb: 'DEL',
    env: { CNI_CONTAINERID: 'another-one' },
    gives: nothing,
  },
  {
    it: 'DELs of one attachment at the same time all succeed',
    source: SPEC.del,
    after: [ADD],
    verb: 'DEL',
    alongside: [DEL, DEL, DEL],
    gives: nothing,
  },
]

const CONF = {
  defaultRoute: 'remove',
  routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48' }, { dst: '10.60.0.0/16', table: 100 }],
}

const living: Vector[] = [
  {
    it: 'DELs at the same time leave none of our routes',
    source: PROMISE,
    after: [{ verb: 'ADD', conf: CONF }],
    verb: 'DEL',
    alongside: [DEL, DEL, DEL],
    gives: nothing,
    leaves: [LINK, POD6],
    logs: /(?:)/,
  },
  {
    it: 'DEL in a living pod takes the routes ADD has made, and no other',
    source: PROMISE,
    after: [ADD, { ip: 'route add 10.80.0.0/16 dev eth0\nroute add fd00:80::/48 dev eth0' }],
    verb: 'DEL',
    conf: CONF,
    gives: nothing,
    leaves: [LINK, POD6, '10.80.0.0/16 dev eth0 scope link', 'fd00:80::/48 dev eth0 metric 1024'],
  },
  {
    it: 'DEL takes the routes ADD has made even if the configuration has changed since',
    source: PROMISE,
    after: [{ verb: 'ADD', conf: CONF }],
    verb: 'DEL',
    conf: { routes: [] },
    gives: nothing,
    leaves: [LINK, POD6],
  },
  {
    it: 'DEL takes the routes ADD has made even if the version is none',
    source: PROMISE,
    after: [{ verb: 'ADD', conf: { ...CONF, cniVersion: '1.0.0' } }],
    verb: 'DEL',
    conf: { cniVersion: '9.9.9' },
    gives: nothing,
    leaves: [LINK, POD6],
  },
  {
    it: 'DEL leaves the routes of another of our interfaces',
    source: PROMISE,
    after: [
      {
        ip: 'link add net1 type veth peer name peer1\nlink set net1 up\nlink set peer1 up\nroute add 10.90.0.0/16 dev net1 proto 142',
      },
      { verb: 'ADD', conf: CONF },
    ],
    verb: 'DEL',
    gives: nothing,
    leaves: [LINK, POD6, '10.90.0.0/16 dev net1 proto 142 scope link'],
  },
  {
    it: 'a dry DEL takes nothing',
    source: PROMISE,
    after: [{ ip: 'route add 10.50.0.0/16 dev eth0 proto 142' }],
    verb: 'DEL',
    conf: { dryRun: true },
    gives: nothing,
    logs: /(?:)/,
  },
  {
    it: 'ADD and DEL of a plugin that keeps the defaults leave the pod as it was',
    source: PROMISE,
    after: [{ verb: 'ADD', conf: { ...CONF, defaultRoute: 'keep' } }],
    verb: 'DEL',
    gives: nothing,
    leaves: [LINK, DEFAULT4, DEFAULT6, POD6],
  },
]

conform('DEL', [...prevResults, ...deep, ...configurations, ...repeated, ...living])
