import { CniError, Code, listed, messageOf, TooMuch } from '../errors.ts'
import { commandText } from '../net/iproute2.ts'
import { isRuleOp, type Op, type Route, routeOpsIn, type Snapshot, sameEffect } from '../net/route.ts'
import { planRestore, swappedText, unmet, unmetText } from '../plan/effects.ts'
import type { Bounds } from '../plan/needed.ts'
import { discuss, isLate } from './discuss.ts'
import type { Failure, Told } from './ip.ts'
import { type Look, lookAgain, lookAt, lookUpInto } from './look.ts'
import type { Netns } from './netns.ts'

/** Others may change the pod's routes at the same time: how often we look and plan again before the call fails. */
const ATTEMPTS = 5
const ROLLBACK_ATTEMPTS = 2
/** With `leave`: after this many whole batches have failed, only operations that depend on no other are tried. */
const WHOLE_ATTEMPTS = 2

/** How the routes of a namespace are changed. */
export interface Change {
  /**
   * What to do if the kernel holds `snapshot`; nothing once all is done. Called again after every change, and when
   * somebody else changed the routes in between.
   */
  readonly decide: (snapshot: Snapshot) => readonly Op[]
  readonly bounds: Bounds
  /**
   * What happens if a change fails: `restore` rolls it back; `leave` carries out what does not depend on it, and does
   * not look at interfaces.
   */
  readonly onFailure: 'restore' | 'leave'
  /** If rules matter too: whether those of IPv6 do, in such a pod. */
  readonly rules6?: ((snapshot: Snapshot) => boolean) | undefined
}

/**
 * Changes the routes of a namespace. Either the kernel shows every change afterwards, or an error is thrown and what
 * was done is rolled back; with `leave`, everything possible is done.
 * @returns the operations carried out
 * @throws CniError 100 or 101 (rolled back), 102 (rollback failed), 103, 104, and whatever `decide` throws
 */
export async function changeRoutes(
  netns: Netns,
  { decide, bounds, onFailure, rules6 }: Change,
): Promise<readonly Op[]> {
  const isRestored = onFailure === 'restore'
  const look = { ...lookAt(bounds, { links: isRestored, rules6 }), goesOn: !isRestored }
  const done: Op[] = []
  const refusals: CniError[] = []
  let origin: Snapshot | undefined
  try {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === ATTEMPTS
      const whole = onFailure === 'restore' || refusals.length < WHOLE_ATTEMPTS
      const some = (seen: Snapshot) => (whole ? decide(seen) : withoutSwaps(decide(seen)))
      const { seen, ops, told } = await lookAndChange(netns, look, some, bounds, whole ? 'stop' : 'go on')
      const { failure, heard: now, blurred } = told
      origin ??= seen
      // If nobody knows where a batch stopped, all of it may have been carried out.
      done.push(...ops.slice(0, failure?.carriedOut))
      if (failure?.error !== undefined) throw failure.error
      if (failure) {
        if (!isLast && someoneWasFaster(failure)) continue
        const error = failedBatch(ops, failure, done.length === 0)
        if (onFailure === 'restore' || !whole) throw refusals[0] ?? error
        refusals.push(error)
        continue
      }
      if (blurred) {
        if (isLast) throw unsteady()
        continue
      }
      if (!whole) throw refusals[0]
      if (!now) return done
      // Done means that `decide` finds nothing left to do: so we also see if another copy of the plugin reverted our work.
      const left = leftToDo(decide, now, isLast)
      if (left?.length === 0) return done
      if (left && isLast) throw notApplied(ops, now, left)
    }
  } catch (error) {
    if (!origin || done.length === 0 || onFailure === 'leave') throw error
    throw await rolledBack(netns, look, bounds, { before: origin, done, error })
  }
}

/** One conversation: what the kernel held before, what was decided, and what came of it. */
interface Attempt {
  /** Absent if the routes changed while they were read: then nothing was decided. */
  readonly seen?: Snapshot
  readonly ops: readonly Op[]
  readonly told: Told<Snapshot>
}

/** @throws what the look and `decide` throw; nothing is changed by then */
function lookAndChange(
  netns: Netns,
  look: Look<Snapshot>,
  decide: Change['decide'],
  bounds: Bounds,
  onError: 'stop' | 'go on',
): Promise<Attempt> {
  return discuss(netns, onError, look, async ({ heard: seen, blurred, tell }) => {
    if (blurred) return { ops: [], told: { blurred } }
    const ops = inOrder(decide(seen))
    const second = ops.length === 0 ? undefined : lookAgain(seen, ops, bounds)
    return { seen, ops, told: await tell(ops, second) }
  })
}

/** As they are carried out. */
function inOrder(ops: readonly Op[]): readonly Op[] {
  return ops.some(isLate) ? [...ops.filter((op) => !isLate(op)), ...ops.filter(isLate)] : ops
}

/** Undefined if nobody can tell, say because an interface is gone. The next look sees interfaces too, and finds out. */
function leftToDo(decide: Change['decide'], now: Snapshot, isLast: boolean): readonly Op[] | undefined {
  try {
    return decide(now)
  } catch (error) {
    if (isLast) throw error
    return undefined
  }
}

function notApplied(ops: readonly Op[], now: Snapshot, left: readonly Op[]): CniError {
  const [first, ...others] = [
    ...unmet(ops, now).map(unmetText),
    ...left.map((op) => `${op.origin.path}: still to do: ${commandText(op)}`),
  ]
  return new CniError(
    Code.notApplied,
    `ip: the kernel does not show what was applied: ${first}`,
    listed(others).join('; '),
  )
}

function unsteady(): TooMuch {
  return new TooMuch("ip: the pod's routes change faster than they can be read; find out who changes them")
}

const UNCHANGED = "the pod's routes are unchanged"

/** What a look at a namespace sees. Changes nothing. @throws CniError 100, 103, 104, and what the look throws */
export async function readRoutes<S>(netns: Netns, look: Look<S>): Promise<S> {
  return (await readRoutesAndLookUp(netns, look, () => [])).heard
}

/**
 * The same, and the route that the kernel chooses for a packet to each address, if it has one.
 * @param addressesFor which addresses, given what was heard
 */
export async function readRoutesAndLookUp<S>(
  netns: Netns,
  look: Look<S>,
  addressesFor: (heard: S) => readonly string[],
): Promise<{ heard: S; chosen: ReadonlyMap<string, Route> }> {
  for (let attempt = 1; ; attempt++) {
    const chosen = new Map<string, Route>()
    // For an address without a route ip(8) prints an error, and goes on.
    const { heard, blurred, told } = await discuss(netns, 'go on', look, async ({ heard, blurred, lookUp }) => {
      const addresses = blurred ? [] : addressesFor(heard)
      return { heard, blurred, told: await lookUp(addresses.length > 0 ? lookUpInto(chosen, addresses) : undefined) }
    })
    const { failure } = told
    if (blurred || told.blurred) {
      if (attempt === ATTEMPTS) throw unsteady()
      continue
    }
    if (failure?.error !== undefined) throw failure.error
    if (failure && failure.carriedOut === undefined) throw failedBatch([], failure, true)
    return { heard, chosen }
  }
}

/** A change that failed. */
interface Failed {
  readonly before: Snapshot
  /** Its operations that were, or may have been, carried out. */
  readonly done: readonly Op[]
  readonly error: unknown
}

/** Time for the rollback, after that of the change. */
const ROLLBACK_MS = 10_000

/** Restores the routes that were touched. @returns the error to report, with what became of the pod */
async function rolledBack(
  netns: Netns,
  look: Look<Snapshot>,
  bounds: Bounds,
  { before, done, error }: Failed,
): Promise<CniError> {
  const cause = error instanceof CniError ? error : new CniError(Code.internal, messageOf(error), undefined, error)
  const errorWith = (code: Code, ...more: string[]) =>
    new CniError(code, cause.message, [cause.details, ...more].filter(Boolean).join('; '), cause)
  // Rules of IPv6 that were made are still there when the NIC is gone.
  const again = { ...look, goesOn: true, ...(done.some(isLate) ? { rules6: () => true } : {}) }
  const inTime = { ...netns, until: netns.until + ROLLBACK_MS }
  const tried: string[] = []
  // Whatever stopped the change may stop the first rollback too.
  for (let attempt = 1; ; attempt++) {
    const restore = (now: Snapshot) => planRestore(before, now, done)
    let says: string[]
    try {
      const { ops, told } = await lookAndChange(inTime, again, restore, bounds, 'go on')
      tried.push(...ops.map(commandText))
      const left = ops.length > 0 && told.heard ? unmet(ops, told.heard) : []
      const known = told.heard !== undefined || (ops.length === 0 && !told.blurred && !told.failure?.error)
      if (known && left.length === 0) {
        const restored = tried.length > 0 ? `rolled back by: ${listed(tried).join(', ')}; ` : ''
        const swapped = told.heard ? swappedText(before, told.heard, done) : undefined
        return errorWith(cause.code, `${restored}${swapped ?? UNCHANGED}`)
      }
      says = known
        ? [
            `rollback failed too: ${[...listed(left.map(unmetText)), told.failure?.stderr].filter(Boolean).join('; ')}`,
            `still to do: ${listed(left.map(commandText)).join(', ')}`,
          ]
        : [
            `rollback failed too: ${messageOf(told.failure?.error ?? told.failure?.stderr ?? unsteady())}`,
            ops.length > 0
              ? `perhaps still to do: ${listed(ops.map(commandText)).join(', ')}`
              : `perhaps done: ${listed(done.map(commandText)).join(', ')}`,
          ]
    } catch (another) {
      says = [`rollback failed too: ${messageOf(another)}`, `perhaps done: ${listed(done.map(commandText)).join(', ')}`]
    }
    if (attempt === ROLLBACK_ATTEMPTS) return errorWith(Code.rollbackFailed, ...says)
  }
}

/**
 * Only the deletions, without those that belong to an addition: a default route that cannot be put into its new place
 * must not lose its old one.
 */
function withoutSwaps(ops: readonly Op[]): Op[] {
  const added = routeOpsIn(ops).filter(({ op }) => op !== 'del')
  return ops.filter(
    (op) =>
      op.op === 'del' &&
      (isRuleOp(op) || !added.some((other) => other.route.dst === op.route.dst && sameEffect(other.route, op.route))),
  )
}

function someoneWasFaster({ stderr }: Failure): boolean {
  // "No such file or directory" is said of a rule.
  return /File exists|No such process|No such file or directory|Cannot find device|No such device/.test(stderr)
}

function failedBatch(ops: readonly Op[], { carriedOut, stderr }: Failure, untouched: boolean): CniError {
  const said = stderr.replace(/^(?:Error|RTNETLINK answers): /, '').replace(/\.$/, '')
  const op = carriedOut === undefined ? undefined : ops[carriedOut]
  if (!op) return new CniError(Code.commandFailed, `ip: stopped early: ${said}`)
  return new CniError(
    Code.commandFailed,
    `${op.origin.path}: ip refused it: ${said} ("${commandText(op)}")${adviceOn(op, said)}`,
    untouched ? UNCHANGED : undefined,
  )
}

/** What the kernel's words mean to whoever wrote the configuration. */
function adviceOn(op: Op, said: string): string {
  if (isRuleOp(op) || op.origin.key !== 'routes') return ''
  const {
    origin,
    route: { gw, dev, src, attributes },
  } = op
  if (gw !== undefined && /invalid gateway|Network is unreachable|No route to host/.test(said)) {
    const advice = origin.gwWritten
      ? `leave out "gw" to use the next hop of ${dev}, or add "onlink": true`
      : 'write the right "gw", or "scope": "link"'
    return `; ${gw} is not on-link on ${dev}; ${advice}`
  }
  if (src !== undefined && /Invalid source address/.test(said))
    return `; the kernel may still be checking ${src} for duplicates; the previous plugin must wait for that, or add it with nodad`
  const { congctl } = attributes ?? {}
  // "Invalid argument" is all that ip(8) says if it was built without libmnl.
  if (congctl !== undefined && /Unknown tcp congestion|Invalid argument/.test(said))
    return `; this node's kernel ${/Unknown/.test(said) ? 'does' : 'may'} not have "${congctl}"; load the module tcp_${congctl}, or write a "congctl" that sysctl net.ipv4.tcp_available_congestion_control lists`
  return ''
}
