import { conform } from './conform.ts'
import { type Conf, error, nothing, PROMISE, refused, SPEC, type Step, type Vector } from './vector.ts'

const ADD: Step = { verb: 'ADD' }
/** What the attachment under CHECK was made with. */
const CONF: Conf = {
  defaultRoute: 'remove',
  routes: [
    { dst: '10.50.0.0/16' },
    { dst: 'fd00:10:50::/48' },
    { dst: '10.60.0.0/16', scope: 'link', priority: 50, mtu: 1400, advmss: 1360, src: '10.199.3.153' },
    { dst: '10.70.0.0/16', table: 100 },
  ],
}

const specified: Vector[] = [
  ...(['0.4.0', '1.0.0', '1.1.0'] as const).flatMap((cniVersion): Vector[] => [
    {
      it: `CHECK right after ADD in ${cniVersion} finds nothing wrong`,
      source: SPEC.check,
      after: [ADD],
      verb: 'CHECK',
      conf: { ...CONF, cniVersion },
      gives: nothing,
    },
  ]),
  {
    it: 'CHECK may be called again and again',
    source: SPEC.check,
    after: [ADD, { verb: 'CHECK' }, { verb: 'CHECK' }],
    verb: 'CHECK',
    conf: CONF,
    gives: nothing,
  },
  {
    it: 'CHECK allows for the routes of later plugins',
    source: SPEC.check,
    after: [
      ADD,
      { ip: 'route add 10.80.0.0/16 via 169.254.1.1 dev eth0\nroute add fd00:80::/48 dev eth0' },
      { ip: 'route add 10.81.0.0/16 dev lo\nroute add 10.50.7.0/24 dev eth0\nroute add 0.0.0.0/0 dev lo metric 77' },
    ],
    verb: 'CHECK',
    conf: CONF,
    gives: nothing,
  },
  {
    it: 'CHECK finds an interface that is gone',
    source: SPEC.check,
    after: [ADD, { ip: 'link del eth0' }],
    verb: 'CHECK',
    conf: CONF,
    gives: refused(110, '', /eth0/),
  },
  ...Object.entries({
    'no prevResult': undefined,
    'a prevResult null': null,
    'a prevResult that is a word': 'text',
  }).map(
    ([what, prevResult]): Vector => ({
      it: `CHECK with ${what} is refused: it has nothing to consult`,
      source: SPEC.check,
      verb: 'CHECK',
      conf: { prevResult },
      gives: refused(7, 'prevResult'),
    }),
  ),
]

/** Each way in which a pod can differ from what was asked for, and what of it must be told. */
const DIFFERENCES: readonly (readonly [string, string, RegExp])[] = [
  ['the IPv4 default is back', 'route add 0.0.0.0/0 via 169.254.1.1 dev eth0', /0\.0\.0\.0\/0|default/],
  [
    'the IPv4 default is back with a metric',
    'route add 0.0.0.0/0 via 169.254.1.1 dev eth0 metric 5000',
    /0\.0\.0\.0\/0|default/,
  ],
  ['the IPv6 default is back', 'route add ::/0 via fe80::ecee:eeff:feee:eeee dev eth0', /::\/0|default/],
  ['an IPv4 route is missing', 'route del 10.50.0.0/16', /10\.50\.0\.0\/16/],
  ['an IPv6 route is missing', 'route del fd00:10:50::/48', /fd00:10:50::\/48/],
  ['a route of another table is missing', 'route del 10.70.0.0/16 table 100', /10\.70\.0\.0\/16/],
  [
    'a gateway differs',
    'route add 169.254.1.9 dev eth0 scope link\nroute replace 10.50.0.0/16 via 169.254.1.9 dev eth0',
    /10\.50\.0\.0\/16/,
  ],
  ['a gateway is missing', 'route replace 10.50.0.0/16 dev eth0', /10\.50\.0\.0\/16/],
  ['an interface differs', 'route replace 10.50.0.0/16 dev lo', /10\.50\.0\.0\/16/],
  [
    'a metric differs',
    'route del 10.60.0.0/16 metric 50\nroute add 10.60.0.0/16 dev eth0 metric 51 mtu 1400 advmss 1360 src 10.199.3.153',
    /10\.60\.0\.0\/16/,
  ],
  [
    'an MTU differs',
    'route replace 10.60.0.0/16 dev eth0 metric 50 mtu 1300 advmss 1360 src 10.199.3.153',
    /10\.60\.0\.0\/16.*mtu/,
  ],
  [
    'an MSS is missing',
    'route replace 10.60.0.0/16 dev eth0 metric 50 mtu 1400 src 10.199.3.153',
    /10\.60\.0\.0\/16.*advmss/,
  ],
  [
    'a source address is missing',
    'route replace 10.60.0.0/16 dev eth0 metric 50 mtu 1400 advmss 1360',
    /10\.60\.0\.0\/16.*src/,
  ],
  [
    'a table differs',
    'route del 10.70.0.0/16 table 100\nroute add 10.70.0.0/16 dev eth0 table 101',
    /10\.70\.0\.0\/16/,
  ],
]

const promised: Vector[] = [
  ...DIFFERENCES.map(
    ([what, ip, details]): Vector => ({
      it: `CHECK tells when ${what}`,
      source: PROMISE,
      after: [ADD, { ip }],
      verb: 'CHECK',
      conf: CONF,
      gives: error(110, '', details),
    }),
  ),
  {
    it: 'CHECK tells every difference, not only the first',
    source: PROMISE,
    after: [ADD, { ip: 'route add 0.0.0.0/0 dev eth0\nroute del 10.50.0.0/16\nroute del fd00:10:50::/48' }],
    verb: 'CHECK',
    conf: CONF,
    gives: error(110, '', /(?=.*(0\.0\.0\.0\/0|default))(?=.*10\.50\.0\.0\/16)(?=.*fd00:10:50::\/48)/),
  },
  {
    it: 'CHECK lets a default be that the configuration keeps',
    source: PROMISE,
    after: [ADD],
    verb: 'CHECK',
    conf: { defaultRoute: { ipv4: 'keep', ipv6: 'remove' } },
    gives: nothing,
  },
  {
    it: 'CHECK decides by the kernel, not by what prevResult says of routes',
    source: PROMISE,
    after: [ADD],
    verb: 'CHECK',
    conf: {
      defaultRoute: 'remove',
      prevResult: { cniVersion: '1.0.0', routes: [{ dst: '0.0.0.0/0' }, { dst: '10.77.0.0/16' }] },
    },
    gives: nothing,
  },
  {
    it: 'CHECK refuses a configuration as ADD does',
    source: PROMISE,
    verb: 'CHECK',
    conf: { routes: [{ dst: '10.50.0.1/16' }] },
    gives: error(7, 'routes[0].dst'),
  },
]

conform('CHECK', [...specified, ...promised])
