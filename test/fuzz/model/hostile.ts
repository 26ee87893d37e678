/** What a tenant who is root in the pod has prepared there, and does to its links in the middle of a call. */
import fc from 'fast-check'
import type { ChildFault } from '../../faults/stand-in.ts'
import { PROTO } from './expected.ts'
import { ADDRESSES, ANY, FAMILIES, type Family, GATEWAYS, NICS } from './pod.ts'

const family = fc.constantFrom(...FAMILIES)
const nic = fc.constantFrom(...NICS)
const attached = fc.constantFrom('eth0' as const, 'net1' as const)
const DESTINATIONS: Readonly<Record<Family, readonly string[]>> = {
  4: [ANY[4], ANY[4], '10.50.0.0/16', '192.0.2.7/32', '10.60.0.0/16'],
  6: [ANY[6], ANY[6], 'fd00:10:50::/48', 'fd00:30::7/128', 'fd00:60::/48'],
}

/** Numbers of nexthop objects: one for each NIC and family, groups of them, and those that lead nowhere or on-link. */
const NEXTHOPS = [
  ...FAMILIES.flatMap((of) => NICS.map((dev, i) => `nexthop add id ${of}${i} via ${GATEWAYS[dev][of]} dev ${dev}`)),
  ...FAMILIES.flatMap((of) => [
    `nexthop add id ${of}10 group ${of}0/${of}1`,
    `nexthop add id ${of}11 group ${of}1,2/${of}2`,
    `nexthop add id ${of}12 group ${of}1`,
  ]),
  'nexthop add id 420 blackhole',
  'nexthop add id 421 dev net1',
]
const byNexthop = family.chain((of) =>
  fc
    .tuple(
      fc.constantFrom('add', 'append'),
      fc.constantFrom(...DESTINATIONS[of]),
      fc.constantFrom('0', '1', '2', '10', '11', '12', of === 4 ? '20' : '2'),
      fc.constantFrom('', ' metric 50', ' metric 100'),
    )
    .map(([op, dst, id, metric]) => `route ${op} ${dst} nhid ${of}${id}${metric}`),
)
const nexthops = fc
  .array(byNexthop, { minLength: 1, maxLength: 3 })
  .map((lines) => [...NEXTHOPS, ...lines, 'route append 10.60.0.0/16 nhid 421'])

/** Several in one IPv4 place: of these the kernel uses the first. */
const twins = fc
  .record({
    dst: fc.constantFrom(ANY[4], ANY[4], ...DESTINATIONS[4]),
    metric: fc.constantFrom('', '', ' metric 50'),
    first: attached,
    ways: fc.uniqueArray(
      fc
        .tuple(nic, fc.constantFrom('', ' mtu 1300', ' mtu 1400'), fc.constantFrom('', ' proto 142', ' proto 16'))
        .map(([dev, mtu, proto]) => `via ${GATEWAYS[dev][4]} dev ${dev}${proto}${mtu}`),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ dst, metric, first, ways }) =>
    [`via ${GATEWAYS[first][4]} dev ${first}`, ...ways].map((way) => `route append ${dst} ${way}${metric}`),
  )

/** Routes that look like ours. */
const marks = fc
  .array(
    family.chain((of) =>
      fc
        .record({
          dst: fc.constantFrom(...DESTINATIONS[of]),
          dev: nic,
          proto: fc.constantFrom(...Object.values(PROTO)),
          metric: fc.constantFrom('', ' metric 50', ` metric ${0xf0000000}`, ` metric ${0xf0000000 + 1024}`),
          table: fc.constantFrom('', '', ' table 100'),
          kind: fc.constantFrom('', '', '', 'blackhole '),
        })
        .map(({ dst, dev, proto, metric, table, kind }) => {
          const way = kind === '' ? ` via ${GATEWAYS[dev][of]} dev ${dev}` : ''
          return `route append ${kind}${dst}${way} proto ${proto}${metric}${table}`
        }),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((lines) => [...lines])

/** Routes that end by themselves, as those of a router advertisement. */
const expiring = fc
  .array(
    fc
      .record({
        dst: fc.constantFrom(...DESTINATIONS[6]),
        dev: nic,
        proto: fc.constantFrom('', ' proto ra'),
        metric: fc.constantFrom('', ' metric 50'),
        op: fc.constantFrom('add', 'append'),
      })
      .map(
        ({ op, dst, dev, proto, metric }) =>
          `route ${op} ${dst} via ${GATEWAYS[dev][6]} dev ${dev}${proto}${metric} expires 3600`,
      ),
    { minLength: 1, maxLength: 2 },
  )
  .map((lines) => [...lines])

const RULES = [
  'rule add pref 101 from 10.199.0.0/16 lookup 100',
  'rule add pref 102 to 10.50.0.0/16 blackhole',
  'rule add pref 103 from all iif net1 lookup 100',
  'rule add pref 104 to fd00:10:50::/48 prohibit',
  'rule add pref 105 from fd00:10:199::/64 lookup 100',
] as const
const rules = fc.subarray([...RULES], { minLength: 1 })

/** Undoes what routes alone do not make. Only for `-force`. */
export const CLEANING = ['nexthop flush', ...RULES.map((line) => line.replace('add', 'del'))] as const

/** Lines for ip(8), beside those of an ordinary table. */
export const preparation: fc.Arbitrary<readonly string[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: nexthops },
  { weight: 3, arbitrary: twins },
  { weight: 1, arbitrary: marks },
  { weight: 1, arbitrary: expiring },
  { weight: 1, arbitrary: rules },
  { weight: 1, arbitrary: fc.tuple(twins, marks, rules).map((parts) => parts.flat()) },
)

/** What becomes of the links before the first call. */
export interface Links {
  readonly lines: readonly string[]
  /** It has another name, and a dummy has its name, as with KubeVirt. */
  readonly replaced?: 'eth0' | 'net1'
}

const replaced = attached.map(
  (name): Links => ({
    replaced: name,
    lines: [
      // Not every kernel renames what is up.
      `link set ${name} name old`,
      `link set ${name} down`,
      `link set ${name} name old`,
      'link set old up',
      `link add ${name} type dummy`,
      // where the kernel has no dummies
      `link add ${name} type ifb`,
      ...FAMILIES.map((of) => `addr add ${ADDRESSES[name][of]} dev ${name}${of === 6 ? ' nodad' : ''}`),
      `link set ${name} up`,
    ],
  }),
)
/** Without effect where the kernel has no VRFs. */
const enslaved = fc.constantFrom(...NICS).map(
  (name): Links => ({
    lines: ['link add vrf0 type vrf table 100', 'link set vrf0 up', `link set ${name} master vrf0`],
  }),
)
export const links: fc.Arbitrary<Links> = fc.oneof(
  { weight: 14, arbitrary: fc.constant({ lines: [] }) },
  { weight: 1, arbitrary: replaced },
  { weight: 1, arbitrary: enslaved },
)

/** Before which line of a conversation something happens. Most have no more. */
const line = fc.integer({ min: 1, max: 9 })

/** What ip(8) does wrong in an ADD. */
export const failure = fc.record({
  do: fc.constant('fail' as const),
  nic: attached,
  line: fc.constantFrom(3, 4, 4, 5, 5, 5, 6, 6, 7, 8),
  fault: fc.constantFrom<ChildFault>('fails', 'is killed', 'is killed', 'prints garbage'),
})

/** What becomes of a link in the middle of a call. */
export const meddling = fc.record({
  do: fc.constant('meddle' as const),
  verb: fc.constantFrom('ADD' as const, 'ADD' as const, 'DEL' as const),
  nic: attached,
  line,
  link: nic,
  event: fc.constantFrom('is deleted', 'is moved', 'is renamed', 'goes down and up'),
})

/** @param far another namespace */
export function meddlingLines({ link, event }: Pick<Meddling, 'link' | 'event'>, far: string): string[] {
  switch (event) {
    case 'is deleted':
      return [`link del ${link}`]
    case 'is moved':
      return [`link set ${link} netns ${far} name moved`]
    case 'is renamed':
      return [`link set ${link} down`, `link set ${link} name renamed`, 'link set renamed up']
    case 'goes down and up':
      return [`link set ${link} down`, `link set ${link} up`]
    default:
      throw new Error(event)
  }
}

export type Failure = typeof failure extends fc.Arbitrary<infer T> ? T : never
export type Meddling = typeof meddling extends fc.Arbitrary<infer T> ? T : never
