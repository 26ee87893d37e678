/** Pods with attachments of ours, at random. */
import fc from 'fast-check'
import { type Attachment, GATEWAYS, NICS, type Nic, type Sets } from './living-pod.ts'

export const PREFIXES = {
  4: ['10.50.0.0/16', '10.60.0.0/16', '10.70.0.0/16', '192.0.2.7/32'],
  6: ['fd00:10:50::/48', 'fd00:10:60::/48', 'fd00:30::7/128'],
} as const
const ALL: readonly string[] = [...PREFIXES[4], ...PREFIXES[6]]
/** A gateway that nothing but an entry knows. */
const NAMED = { 4: '10.0.1.99', 6: 'fd00:10:0:1::99' } as const

export const family = fc.constantFrom(4 as const, 6 as const)
export const nic = fc.constantFrom(...NICS)
export const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 3 })

/** An entry of `routes`. */
export interface Entry {
  readonly dst?: string
  readonly set?: string
  readonly gw?: string
  readonly dev?: string
  readonly priority?: number
  readonly table?: number
  readonly mtu?: number
}

export type Conf = Record<string, unknown> & { readonly routes: readonly Entry[] }

/** Without keys that are undefined, which JSON has not. */
const compact = <T>(value: T): T => JSON.parse(JSON.stringify(value))

const others = {
  priority: maybe(fc.constantFrom(50, 60)),
  mtu: maybe(fc.constant(1400)),
  table: maybe(fc.constant(100)),
}

const entry = (of: Nic): fc.Arbitrary<Entry> =>
  fc.oneof(
    fc.record({ set: fc.constantFrom('a', 'b'), ...others }),
    family.chain((f) =>
      fc.record({
        dst: fc.constantFrom(...PREFIXES[f]),
        gw: maybe(fc.constantFrom(GATEWAYS[of][f], GATEWAYS[of][f], NAMED[f])),
        dev: of === 'eth0' ? maybe(fc.constantFrom('net1', 'net2')) : fc.constant(undefined),
        ...others,
      }),
    ),
  ) as fc.Arbitrary<Entry>

/** Calico reports no default route: nobody could know one that was demoted and lost. */
const disposition = (of: Nic) =>
  of === 'eth0' ? fc.constantFrom('remove', 'remove', 'keep') : fc.constantFrom('remove', 'demote', 'demote', 'keep')

const gateway = (of: Nic) =>
  fc.oneof(
    fc.constantFrom('auto', 'auto', { priority: 4096 }, { ipv4: GATEWAYS[of][4], ipv6: GATEWAYS[of][6] }),
    fc.constant({ ipv4: GATEWAYS[of][4], ipv6: GATEWAYS[of][6], priority: 4096 }),
    nic.map((dev) => ({ dev })),
    fc.constantFrom('net1' as const, 'net2' as const).map((dev) => ({ dev, ipv4: GATEWAYS[dev][4], priority: 50 })),
  )

const conf = (of: Nic, withGateway: boolean): fc.Arbitrary<Conf> =>
  fc
    .record({
      defaultRoute: fc.oneof(disposition(of), fc.record({ ipv4: disposition(of), ipv6: disposition(of) })),
      routes: fc.array(entry(of), { maxLength: 3 }),
      missingFamily: maybe(fc.constant('skip')),
      sourceRouting: maybe(fc.constantFrom(true, { priority: 77 })),
      ovnGateway: withGateway ? maybe(gateway(of)) : fc.constant(undefined),
    })
    .map(compact)

/** Before CNI 1.1.0 a Result does not tell apart what two entries of a chain have to one destination. */
function withoutCommon(chain: readonly Conf[]): Conf[] {
  const isOf = (which: number, { set, dst = '' }: Entry) =>
    set === undefined ? ALL.indexOf(dst) % 2 === which : set === ['a', 'b'][which]
  return chain.map((one, which) => ({ ...one, routes: one.routes.filter((other) => isOf(which, other)) }))
}

const attachment = (of: Nic, withGateway: boolean): fc.Arbitrary<Attachment> =>
  fc.record({
    nic: fc.constant(of),
    withDefault: fc.boolean(),
    chain: fc.oneof(
      { weight: 6, arbitrary: fc.tuple(conf(of, withGateway)) },
      { weight: 1, arbitrary: fc.tuple(conf(of, withGateway), conf(of, false)).map(withoutCommon) },
      { weight: 1, arbitrary: fc.constant([]) },
    ),
    cniVersion: fc.constantFrom('1.0.0' as const, '1.1.0' as const),
  })

/** In any order. Only one chain asks for the pod's one default route. */
export const attachments: fc.Arbitrary<Attachment[]> = fc
  .tuple(fc.shuffledSubarray([...NICS], { minLength: 1 }), nic)
  .chain(([order, gatewayOf]) => fc.tuple(...order.map((of) => attachment(of, gatewayOf === of))))

export const sets: fc.Arbitrary<Sets> = fc.record({ a: fc.subarray([...ALL]), b: fc.subarray([...ALL]) })

/** What is asked for at ADD, and later. */
export interface Asking {
  readonly all: readonly Attachment[]
  readonly old: Sets
  readonly now: Sets
}

/**
 * Of a prefix that went from one set to another nobody can tell whether it has its MTU from its next hop, or from the entry
 * that it is of no more. So either no prefix does so, or no set has an MTU.
 */
export const asking: fc.Arbitrary<Asking> = fc
  .record({ all: attachments, old: sets, changed: maybe(sets), isMoved: fc.boolean() })
  .map(({ all, old, changed, isMoved }) => {
    const asked = { all, old, now: changed ?? old }
    return isMoved && all.every(({ chain }) => chain.length < 2) ? withoutMtu(asked) : apart(asked)
  })

function withoutMtu({ all, ...rest }: Asking): Asking {
  const stripped = ({ mtu, ...one }: Entry): Entry =>
    one.set === undefined && mtu !== undefined ? { ...one, mtu } : one
  const confs = (chain: Attachment['chain']) =>
    (chain as readonly Conf[]).map((one) => ({ ...one, routes: one.routes.map(stripped) }))
  return { ...rest, all: all.map((one) => ({ ...one, chain: confs(one.chain) })) }
}

function apart({ all, old, now }: Asking): Asking {
  const part = ({ a = [], b = [] }: Sets): Sets => ({
    a: a.filter((one) => ALL.indexOf(one) % 2 === 0),
    b: b.filter((one) => ALL.indexOf(one) % 2 === 1),
  })
  const was = part(old)
  return { all, old: was, now: now === old ? was : part(now) }
}
