/** Pods, configurations and what happens to them, at random. */
import fc from 'fast-check'
import type { Attributes } from '../../../src/net/attributes.ts'
import { someAttributes, wordsFor } from '../../support/attributes.ts'
import { type Failure, failure, type Links, links, type Meddling, meddling, preparation } from './hostile.ts'
import { ANY, FAMILIES, GATEWAYS, NICS, type Nic } from './pod.ts'

const PREFIXES = {
  4: ['10.50.0.0/16', '172.20.0.0/16', '192.0.2.7/32'],
  6: ['fd00:10:50::/48', 'fd00:20::/64', 'fd00:30::7/128'],
} as const

const family = fc.constantFrom(...FAMILIES)
const nic = fc.constantFrom(...NICS)
const metric = fc.constantFrom(undefined, undefined, undefined, 50, 100, 4096)
const wordsOf = (attributes: Attributes) =>
  Object.entries(attributes)
    .map(([name, value]) => ` ${wordsFor(name, value)}`)
    .join('')
const word = (name: string, value: unknown) => (value === undefined ? '' : ` ${name} ${value}`)

/** A default route as the plugin that made the NIC, a daemon or an administrator would add it. */
const defaultLine = fc
  .tuple(
    // Appended, several share a place: the kernel joins those of IPv6 to one multipath route.
    fc.constantFrom('add', 'add', 'append'),
    family,
    nic,
    metric,
    fc.constantFrom(undefined, undefined, 'kernel', 'static', 'bird'),
    someAttributes,
  )
  .map(([op, of, dev, priority, proto, attributes]) => {
    const words = word('metric', priority) + word('proto', proto) + wordsOf(attributes)
    return `route ${op} ${ANY[of]} via ${GATEWAYS[dev][of]} dev ${dev}${words}`
  })

const otherLine = family.chain((of) =>
  fc
    .record({
      op: fc.constantFrom('add', 'add', 'append'),
      dst: fc.constantFrom(...PREFIXES[of], of === 4 ? '10.60.0.0/16' : 'fd00:60::/48'),
      dev: nic,
      via: fc.boolean(),
      onlink: fc.boolean(),
      priority: metric,
      table: fc.constantFrom(undefined, undefined, 100),
      kind: fc.constantFrom('unicast', 'unicast', 'unicast', 'unicast', 'blackhole', 'unreachable'),
    })
    .map(({ op, dst, dev, via, onlink, priority, table, kind }) => {
      const rest = word('table', table) + word('metric', priority)
      if (kind !== 'unicast') return `route ${op} ${kind} ${dst}${rest}`
      const hop = via ? ` via ${GATEWAYS[dev][of]} dev ${dev}${onlink ? ' onlink' : ''}` : ` dev ${dev}`
      return `route ${op} ${dst}${hop}${rest}`
    }),
)

/** The lines that make a routing table, those first that Calico and kube-ovn would make. */
const table: fc.Arbitrary<string[]> = fc
  .tuple(
    fc.subarray([
      `route add default via ${GATEWAYS.eth0[4]} dev eth0`,
      `route add ::/0 via ${GATEWAYS.eth0[6]} dev eth0 metric 1024`,
      `route add default via ${GATEWAYS.net1[4]} dev net1 metric 100`,
      `route add ::/0 via ${GATEWAYS.net1[6]} dev net1 metric 2000`,
    ]),
    fc.array(defaultLine, { maxLength: 3 }),
    fc.array(otherLine, { maxLength: 5 }),
    preparation,
  )
  .map((parts) => parts.flat())

export interface RouteConf extends Attributes {
  readonly dst: string
  readonly gw?: string
  readonly scope?: 'link'
  readonly priority?: number
  readonly table?: number
}
type Disposition = 'remove' | 'demote' | 'keep'
export interface Conf {
  readonly defaultRoute: { readonly ipv4: Disposition; readonly ipv6: Disposition }
  readonly routes: readonly RouteConf[]
  readonly missingFamily?: 'refuse' | 'skip' | undefined
  readonly ovnGateway?: 'auto' | { readonly ipv4?: string; readonly ipv6?: string; readonly priority?: number }
}

const routeConf = (dev: Nic): fc.Arbitrary<RouteConf> =>
  family.chain((of) =>
    fc
      .record(
        {
          dst: fc.constantFrom(...PREFIXES[of]),
          hop: fc.constantFrom<'gw' | 'link' | undefined>('gw', 'link', undefined, undefined),
          priority: fc.constantFrom(50, 4096),
          table: fc.constant(100),
          attributes: someAttributes,
        },
        { requiredKeys: ['dst'] },
      )
      .map(({ hop, attributes, ...rest }) => ({
        ...rest,
        ...attributes,
        ...(hop === 'gw' ? { gw: GATEWAYS[dev][of] } : {}),
        // An IPv6 route has no scope: "link" only says that there is no gateway.
        ...(hop === 'link' ? { scope: 'link' as const } : {}),
      })),
  )

const gateway = (dev: Nic): fc.Arbitrary<NonNullable<Conf['ovnGateway']>> =>
  fc.constantFrom(
    'auto' as const,
    'auto' as const,
    { ipv4: GATEWAYS[dev][4] },
    { ipv4: GATEWAYS[dev][4], ipv6: GATEWAYS[dev][6] },
    { ipv4: GATEWAYS[dev][4], ipv6: GATEWAYS[dev][6], priority: 4096 },
  )

/** Only one chain of a pod asks for the pod's one default route; `withGateway` says whether it is this one. */
const conf = (dev: Nic, withGateway: boolean): fc.Arbitrary<Conf> =>
  fc
    .record({
      defaultRoute: fc.record({
        ipv4: fc.constantFrom<Disposition>('remove', 'demote', 'keep'),
        ipv6: fc.constantFrom<Disposition>('remove', 'demote', 'keep'),
      }),
      routes: fc.uniqueArray(routeConf(dev), {
        maxLength: 3,
        selector: ({ dst, priority, table: of }) => `${dst} ${priority} ${of}`,
      }),
      missingFamily: fc.constantFrom('skip' as const, 'skip' as const, 'refuse' as const, undefined),
      ovnGateway: fc.option(gateway(dev), { nil: undefined }),
    })
    .map(({ ovnGateway, ...rest }) => (withGateway && ovnGateway !== undefined ? { ...rest, ovnGateway } : rest))

export type Attached = 'eth0' | 'net1'
type Confs = Readonly<Record<Attached, Conf>>

const confs: fc.Arbitrary<Confs> = fc
  .boolean()
  .chain((first) => fc.record({ eth0: conf('eth0', first), net1: conf('net1', !first) }))

/** Something is done to the routes of a NIC, and repair must set it right. */
export interface Mending {
  readonly do: 'mend'
  readonly nic: Attached
  /** Which of our routes are lost. */
  readonly lost: readonly number[]
  readonly isFlushed: boolean
  readonly lines: readonly string[]
}

export type Step =
  | { readonly do: 'ADD' | 'DEL' | 'CHECK' | 'ADD and DEL'; readonly nic: Attached }
  | { readonly do: 'both'; readonly verbs: Readonly<Record<Attached, 'ADD' | 'DEL'>>; readonly delayMs: number }
  | { readonly do: 'twice'; readonly nic: Attached; readonly verbs: readonly ['ADD' | 'DEL', 'ADD' | 'DEL'] }
  | { readonly do: 'lose'; readonly nic: Attached; readonly which: number }
  | { readonly do: 'appear'; readonly line: string }
  | { readonly do: 'vanish'; readonly which: number }
  | { readonly do: 'down'; readonly nic: Nic }
  | Mending
  | Failure
  | Meddling

const attached = fc.constantFrom<Attached>('eth0', 'net1')
const verb = fc.constantFrom<'ADD' | 'DEL'>('ADD', 'ADD', 'DEL')
const which = fc.nat({ max: 20 })

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ADD' as const), nic: attached }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('DEL' as const), nic: attached }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('CHECK' as const), nic: attached }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ADD and DEL' as const), nic: attached }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('both' as const),
      verbs: fc.record({ eth0: verb, net1: verb }),
      delayMs: fc.constantFrom(0, 0, 2, 5, 10),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('twice' as const), nic: attached, verbs: fc.tuple(verb, verb) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('lose' as const), nic: attached, which }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('mend' as const),
      nic: attached,
      lost: fc.array(which, { maxLength: 2 }),
      isFlushed: fc.boolean(),
      lines: fc.array(fc.oneof(defaultLine, otherLine), { maxLength: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('appear' as const), line: fc.oneof(defaultLine, otherLine) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('vanish' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('down' as const), nic }) },
  { weight: 4, arbitrary: failure },
  { weight: 1, arbitrary: meddling },
)

export interface Case {
  readonly table: readonly string[]
  readonly links: Links
  /** The NICs without an IPv6 address. */
  readonly lacking: readonly Nic[]
  readonly confs: Confs
  readonly steps: readonly Step[]
}

export const cases: fc.Arbitrary<Case> = fc.record({
  table,
  links,
  lacking: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.subarray([...NICS]) }),
  confs,
  steps: fc.array(step, { minLength: 2, maxLength: 5 }),
})
