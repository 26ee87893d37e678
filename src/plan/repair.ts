import { devicesOf, type Op, type Route, type RouteOp, type Snapshot, sharingPlace, soleDevice } from '../net/route.ts'
import { opsBetween } from './between.ts'
import { type DefaultsPlan, isSameDefault, planDefaults } from './defaults.ts'
import { difference, differences, isBridged, isEither, strangeness } from './differences.ts'
import { afterwards } from './effects.ts'
import { formerHops } from './former-hops.ts'
import { lostDefaults } from './lost-defaults.ts'
import { ofSets } from './of-sets.ts'
import { type Plan, planAdd, type Reported } from './plan.ts'
import { problemText } from './problem.ts'
import { reportedBy } from './reported.ts'
import { nicsOf, removals, surplusDefaults, surplusRoutes, surplusRules } from './surplus.ts'
import type { Wish } from './wish.ts'

/** What repair does to a pod. */
export interface RepairPlan {
  readonly ops: readonly Op[]
  /** What differs, in the words of CHECK; empty: the pod is as its attachments ask for. */
  readonly found: readonly string[]
  /** Why nothing can be done. If it is there, `ops` must not be carried out. */
  readonly refused?: string
}

/**
 * `sets`: only what comes of route sets, and our routes that no attachment asks for any more. `asked`: only what is asked
 * for, because not all that is asked for may be known. All else stays as it is.
 */
export type Only = 'sets' | 'asked' | undefined

/**
 * The operations that make a pod what ADD would make of it, for one attachment after the other, and that remove what no
 * attachment asks for any more. All that is tried out on the snapshot; what differs afterwards is what is to be done.
 * @param wishes in the order of the ADDs, as far as known; none with `dryRun`
 */
export function planRepair(wishes: readonly Wish[], snapshot: Snapshot, only?: Only): RepairPlan {
  const strange = wishes.flatMap(({ ifname, prev }) => strangeness(ifname, prev, snapshot) ?? [])
  const [first] = strange
  if (first !== undefined) return { ops: [], found: [...new Set(strange)], refused: first }

  const surplus = only === 'asked' ? 'stays' : 'goes'
  if (only === 'sets') return tried(wishes, snapshot, 'untouched', surplus)
  const plan = tried(wishes, snapshot, 'back if the pod has none', surplus)
  if (plan.refused === undefined) return plan
  const another = tried(wishes, snapshot, 'all back', surplus)
  return another.refused === undefined ? another : plan
}

/**
 * Which default routes are brought back that `demote` was to keep for the pod. `untouched`: neither default routes nor
 * configured routes without a set are worked on.
 */
type Defaults = 'back if the pod has none' | 'all back' | 'untouched'

/** What becomes of our routes that no attachment asks for. */
type Surplus = 'goes' | 'stays'

function tried(wishes: readonly Wish[], snapshot: Snapshot, defaults: Defaults, surplus: Surplus): RepairPlan {
  const trial = new Trial(snapshot)
  const { busy, problems } = tryOut(wishes, trial, defaults, surplus)
  if (problems.length === 0 && busy.length > 0)
    return {
      ops: [],
      found: wishes.flatMap(({ config, ifname, prev }) =>
        differences(config, ifname, prev, snapshot).map((says) => `${ifname}: ${says}`),
      ),
      refused: `the attachments ${[...new Set(busy)].join(', ')} contradict each other`,
    }
  const ops = opsBetween(snapshot, trial.now, trial.done)
  const inPlace = sharingPlace(snapshot.routes)
  const found = [...problems, ...ops.map((op) => difference(op, inPlace))]
  return { ops, found, ...(problems.length > 0 ? { refused: 'an attachment cannot have what it asks for' } : {}) }
}

/** A snapshot on which operations are tried out. */
class Trial {
  readonly before: Snapshot
  #now: Snapshot
  readonly #done: Op[] = []

  constructor(snapshot: Snapshot) {
    this.before = snapshot
    this.#now = snapshot
  }

  get now(): Snapshot {
    return this.#now
  }

  get done(): readonly Op[] {
    return this.#done
  }

  carryOut(ops: readonly Op[]): void {
    if (ops.length === 0) return
    this.#done.push(...ops)
    this.#now = afterwards(this.#now, ops)
  }
}

/** A wish with what is known of its next hops. */
interface Informed extends Wish {
  readonly reported: Reported
}

/** More than any pod needs whose attachments agree: each round does what the one before made possible. */
const MAX_ROUNDS = 10

/** @returns the last round */
function tryOut(wishes: readonly Wish[], trial: Trial, defaults: Defaults, surplus: Surplus): Round {
  const live = wishes.filter(({ ifname }) => !isBridged(trial.before, ifname))
  // On which surplus is looked for.
  const nics = surplus === 'goes' ? nicsOf(live) : new Set<string>()
  // Nobody knows what default route an attachment wants whose NIC is hidden.
  const isOpen = wishes.some((wish) => !live.includes(wish) && wish.config.gateway !== undefined)
  const isUntouched = defaults === 'untouched'
  trial.carryOut([...surplusRules(wishes, nics, trial.before), ...removals(surplusRoutes(wishes, nics, trial.before))])
  const otherwise = formerHops(wishes, trial.before)
  const informed = live.map((wish): Informed => ({ ...wish, reported: { ...reportedBy(wish), otherwise } }))
  if (!isUntouched) bringBack(informed, trial, defaults)
  let last: Round = { busy: [], problems: [] }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    last = oneRound(informed, trial, defaults)
    if (last.busy.length > 0) continue
    const wanted = informed.flatMap((wish) => defaultsOf(wish, trial.now).gateways)
    const rest = isOpen || isUntouched ? [] : surplusDefaults(wanted, nics, trial.now)
    trial.carryOut(removals(rest))
    if (rest.length === 0) break
  }
  return last
}

/** Brings back lost default routes, for one attachment after the other: one may do. */
function bringBack(wishes: readonly Informed[], trial: Trial, defaults: Defaults): void {
  const stays = (route: Route) => !wishes.some((one) => removes(one, route, trial.now))
  for (const wish of wishes) {
    const { ifname } = wish
    const counts = (route: Route) => (defaults === 'all back' ? devicesOf(route).includes(ifname) : stays(route))
    trial.carryOut(named(ifname, lostDefaults(wish, trial.now, counts)))
  }
}

/** True if an attachment removes a default route. */
function removes(wish: Informed, route: Route, now: Snapshot): boolean {
  const { config, ifname } = wish
  if (config.defaultRoute[route.family] !== 'remove' || soleDevice(route) !== ifname) return false
  return !defaultsOf(wish, now).gateways.some((wanted) => isSameDefault(route, wanted))
}

interface Round {
  /** The interfaces for which there was something to do. */
  readonly busy: readonly string[]
  /** Why nothing can be done for others. */
  readonly problems: readonly string[]
}

/**
 * Does what ADD would do now for each attachment: first to all other routes, then to default routes, because `demote` goes
 * by what other NICs have.
 */
function oneRound(wishes: readonly Informed[], trial: Trial, defaults: Defaults): Round {
  const [busy, problems] = [[] as string[], [] as string[]]
  const carryOut = (ifname: string, ops: readonly Op[]) => {
    if (ops.length > 0) busy.push(ifname)
    trial.carryOut(named(ifname, ops))
  }
  for (const wish of wishes) {
    const { config, ifname } = wish
    const counts = defaults === 'untouched' ? ofSets(config) : () => true
    const plan = planOf(wish, trial.now)
    const inTheWay = plan.problems.filter(({ at }) => counts(at))
    problems.push(...inTheWay.map((problem) => `${ifname}: ${problemText(problem)}`))
    if (inTheWay.length > 0) continue
    carryOut(
      ifname,
      plan.ops.filter(({ origin: { key, path } }) => key === 'routes' && counts(path)),
    )
  }
  if (defaults === 'untouched') return { busy, problems }
  for (const wish of wishes) carryOut(wish.ifname, opsOfDefaults(wish, trial.now))
  return { busy, problems }
}

/** What ADD would do, after what it does to default routes: the reported next hop counts more than that of one which goes. */
function planOf(wish: Informed, now: Snapshot): Plan {
  return planAdd(wish.config, wish.ifname, afterwards(now, opsOfDefaults(wish, now)), wish.reported)
}

/** Without what CHECK would not miss, unless it is part of a change of the family that CHECK would. */
function opsOfDefaults(wish: Informed, now: Snapshot): readonly RouteOp[] {
  const { ops, problems } = defaultsOf(wish, now)
  if (problems.length > 0) return []
  return FAMILIES.flatMap((family) => {
    const isOf = ({ route }: RouteOp) => route.family === family
    const some = ops.filter(isOf)
    return some.every((op) => isEither(op, wish.config)) ? [] : some
  })
}

const FAMILIES = [4, 6] as const

function defaultsOf({ config, ifname, reported }: Informed, now: Snapshot): DefaultsPlan {
  return planDefaults(config, ifname, now, reported.gatewayAddresses ?? {})
}

/** Says of each operation for which interface it is: several attachments have a `routes[0]`. */
function named(ifname: string, ops: readonly Op[]): Op[] {
  return ops.map((op) => ({ ...op, origin: { ...op.origin, path: `${ifname}: ${op.origin.path}` } }))
}
