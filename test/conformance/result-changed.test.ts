import { conform } from './conform.ts'
import { exactly, PROMISE, result, sameResult, VERSIONS, type Vector } from './vector.ts'

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

conform('Result, changed', changed)
