/** What is done to the routes of a pod behind our backs. */
import fc from 'fast-check'
import { DEFAULT_DST, PROTOCOL, type Route, type RouteOp, type Snapshot, samePlace } from '../../src/net/route.ts'
import { isOurRule, sameRule } from '../../src/net/rule.ts'
import { tableOf } from '../../src/plan/nic-table.ts'
import { carryOut } from './kernel.ts'
import { GATEWAYS, type Nic } from './living-pod.ts'
import { family, PREFIXES } from './living-pods.ts'
import { route } from './snapshots.ts'

/** In words and numbers, so that a counterexample can be read. */
export interface Damage {
  readonly to: string
  readonly n: number
  readonly dev: Nic
  readonly family: 4 | 6
}

/** What of a pod decides whether it can be made what it was. */
export interface Known {
  /** A route is asked for, and a Result has it. */
  readonly isTold: (one: Route) => boolean
  /** The default routes of a NIC are to be removed. */
  readonly isRemoved: (family: 4 | 6, dev: string) => boolean
  /** Nothing else is done to the pod. */
  readonly isAlone: boolean
}

const ALL_KNOWN: Known = { isTold: () => true, isRemoved: () => true, isAlone: true }

type Harm = (pod: Snapshot, damage: Damage, known: Known) => Snapshot

export const isOurs = ({ protocol, presumed }: Route) => protocol >= 142 && protocol <= 145 && !presumed
/** A gateway that no Result and no entry has. */
export const NOWHERE = { 4: '10.0.1.77', 6: 'fe80::77' } as const

function tried(pod: Snapshot, op: RouteOp['op'], one: Route): Snapshot {
  try {
    return carryOut(pod, [{ op, route: one }])
  } catch {
    return pod
  }
}

const without = (pod: Snapshot, isGone: (one: Route) => boolean): Snapshot => ({
  ...pod,
  routes: pod.routes.filter((one) => !isGone(one)),
})

const nth = <T>(items: readonly T[], n: number): T => items[n % items.length] as T

/** Does something with one of the pod's routes, if there is such a one. */
function withOne(pod: Snapshot, n: number, isOne: (one: Route) => boolean, use: (one: Route) => Snapshot): Snapshot {
  const found = pod.routes.filter(isOne)
  return found.length > 0 ? use(nth(found, n)) : pod
}

const is142 = ({ protocol }: Route) => protocol === PROTOCOL

/** To routes of ours: the pod can be made what it was. */
const TO_OURS: Readonly<Record<string, Harm>> = {
  'one is deleted': (pod, { n }) => withOne(pod, n, isOurs, (gone) => without(pod, (one) => one === gone)),
  'those of a NIC are flushed': (pod, { dev }) => without(pod, (one) => isOurs(one) && one.dev === dev),
  'all are flushed': (pod) => without(pod, isOurs),
  // What no Result vouches for is believed.
  'one leads elsewhere': (pod, { n }, { isTold }) =>
    withOne(
      pod,
      n,
      (one) => is142(one) && isTold(one),
      (old) => tried(pod, 'replace', { ...old, gw: NOWHERE[old.family] }),
    ),
  'one has another attribute': (pod, { n }) =>
    withOne(pod, n, is142, (old) => tried(pod, 'replace', { ...old, attributes: { hoplimit: 7 } })),
  'one has another metric': (pod, { n }) =>
    withOne(
      pod,
      n,
      (one) => is142(one) && one.gw !== NOWHERE[one.family],
      (old) =>
        tried(
          without(pod, (one) => one === old),
          'add',
          { ...old, priority: 7 },
        ),
    ),
  'a removed default route is back': (pod, { n, family: f, dev }, { isRemoved, isAlone }) => {
    const gw = isAlone && n % 3 === 0 ? NOWHERE[f] : GATEWAYS[dev][f]
    const one = route(f, DEFAULT_DST[f], { gw, dev, ...(n % 2 ? { priority: 20 } : {}) })
    const present = pod.routes.filter((other) => samePlace(other, one))
    return isRemoved(f, dev) && present.every(isOurs) ? tried(pod, 'replace', one) : pod
  },
  'one more looks like ours': (pod, { n, family: f, dev }) => {
    const priority = n % 2 ? { priority: 70 } : {}
    return tried(pod, 'add', route(f, nth(PREFIXES[f], n), { gw: GATEWAYS[dev][f], dev, protocol: 142, ...priority }))
  },
}

/** To rules of ours. */
const TO_RULES: Readonly<Record<string, Harm>> = {
  'a rule is deleted': (pod, { n }) => {
    const gone = nth((pod.rules ?? []).filter(isOurRule), n)
    return { ...pod, rules: (pod.rules ?? []).filter((one) => one !== gone) }
  },
  'all rules are flushed': (pod) => ({ ...pod, rules: [] }),
  'a rule has another priority': (pod, { n }) => {
    const old = nth((pod.rules ?? []).filter(isOurRule), n)
    return { ...pod, rules: (pod.rules ?? []).map((one) => (one === old ? { ...one, priority: 7 } : one)) }
  },
  'one more rule looks like ours': (pod, { n, dev, family: f }) => {
    const rule = {
      family: f,
      priority: 9,
      from: f === 4 ? `10.9.9.${n}/32` : `fd09::${n}/128`,
      table: tableOf(dev),
      protocol: PROTOCOL,
    }
    return { ...pod, rules: [...(pod.rules ?? []).filter((one) => !sameRule(one, rule)), rule] }
  },
}

/** To routes of others, or with marks of ours that mislead: it may be that nothing can be done. */
const TO_ANY: Readonly<Record<string, Harm>> = {
  'others put a route in a place': (pod, { n, family: f, dev }) =>
    tried(
      pod,
      nth(['add', 'append', 'prepend', 'replace'], n),
      route(f, nth(PREFIXES[f], n), {
        gw: n % 5 === 0 ? NOWHERE[f] : GATEWAYS[dev][f],
        dev,
        ...(n % 3 ? {} : { priority: 50 }),
        ...(n % 7 ? {} : { table: 100 }),
      }),
    ),
  'others put a default route': (pod, { n, family: f, dev }) => {
    const gw = n % 5 === 0 ? NOWHERE[f] : GATEWAYS[dev][f]
    const one = route(f, DEFAULT_DST[f], { gw, dev, ...(n % 2 ? {} : { priority: 20 }) })
    return tried(pod, nth(['add', 'append', 'replace'], n), one)
  },
  'a default route looks like ours': (pod, { n, family: f, dev }) => {
    const usual = f === 4 ? 0 : 1024
    const place = { protocol: 142 + (n % 4), priority: nth([usual, 33, 0xf0000000 + usual], n) }
    const one = route(f, DEFAULT_DST[f], { gw: GATEWAYS[dev][f], dev, ...place })
    return tried(pod, n % 2 ? 'append' : 'replace', one)
  },
  'a route changes hands': (pod, { n }) =>
    withOne(pod, n, isOurs, (old) => ({
      ...pod,
      routes: pod.routes.map((one) => (one === old ? { ...one, protocol: 3 } : one)),
    })),
  'one of anybody is deleted': (pod, { n }) =>
    withOne(
      pod,
      n,
      () => true,
      (gone) => without(pod, (one) => one === gone),
    ),
  'a place leads nowhere': (pod, { n, family: f }) => tried(pod, 'append', route(f, nth(PREFIXES[f], n), { type: 7 })),
  'one is several': (pod, { n, dev, family: f }) =>
    withOne(
      pod,
      n,
      (one) => one.family === f && is142(one),
      (old) =>
        tried(pod, n % 2 ? 'append' : 'prepend', { ...old, gw: GATEWAYS[dev][f], dev, protocol: n % 3 ? 142 : 3 }),
    ),
  'a NIC is down': (pod, { dev, n }) =>
    n % 4
      ? pod
      : {
          routes: pod.routes.filter((one) => one.dev !== dev),
          links: pod.links.map((one) => (one.ifname === dev ? { ...one, up: false } : one)),
        },
}
const HARMS = { ...TO_OURS, ...TO_RULES, ...TO_ANY }

const damages = (names: readonly string[], on: fc.Arbitrary<Nic>) =>
  fc.array(fc.record({ to: fc.constantFrom(...names), n: fc.nat({ max: 60 }), dev: on, family }), { maxLength: 5 })

/** @param on NICs with attachments of ours */
export const damageToOurs = (on: readonly Nic[]): fc.Arbitrary<Damage[]> =>
  on.length > 0 ? damages([...Object.keys(TO_OURS), ...Object.keys(TO_RULES)], fc.constantFrom(...on)) : fc.constant([])
export const damageToAny = (on: fc.Arbitrary<Nic>): fc.Arbitrary<Damage[]> => damages(Object.keys(HARMS), on)

export function damaged(pod: Snapshot, all: readonly Damage[], known: Known = ALL_KNOWN): Snapshot {
  return all.reduce((state, damage) => HARMS[damage.to]?.(state, damage, known) ?? state, pod)
}
