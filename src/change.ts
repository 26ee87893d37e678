import { planRestore, unmet, unmetText } from './effects.ts'
import { CniError, Code, listed, messageOf } from './errors.ts'
import { batchLine } from './iproute2.ts'
import { LOOK, type Look, lookAgain } from './look.ts'
import { converse, type Failure, type Netns } from './netns.ts'
import { type RouteOp, type Snapshot, sameWay } from './route.ts'

/** Others may change the pod's routes at the same time: how often we look and plan again before we call it a failure. */
const ATTEMPTS = 5
const ROLLBACK_ATTEMPTS = 2
/** With 'leave', how often the whole batch is tried, before only what hangs on nothing else is. */
const WHOLE_ATTEMPTS = 2

/**
 * Changes the routes of a namespace: `decide` is given what the kernel holds and says what to do. Afterwards the kernel
 * shows all of it, or an error was thrown and what we had done is undone; with 'leave', all is done that can be.
 *
 * When somebody else was faster (a route is there or gone that was not), what the kernel holds now is looked at anew.
 * @returns the operations carried out
 * @throws CniError 100 or 101 (rolled back), 102 (rollback failed), 103, 104, and whatever `decide` throws
 */
export async function changeRoutes(
  netns: Netns,
  decide: (snapshot: Snapshot) => readonly RouteOp[],
  onFailure: 'restore' | 'leave' = 'restore',
): Promise<readonly RouteOp[]> {
  let origin: Snapshot | undefined
  let done: readonly RouteOp[] = []
  let ops: readonly RouteOp[] = []
  let second: Look | undefined
  const refusals: CniError[] = []
  try {
    for (let attempt = 1; ; attempt++) {
      const whole = onFailure === 'restore' || refusals.length < WHOLE_ATTEMPTS
      const { after, failure } = await converse(
        netns,
        LOOK.questions,
        (answers) => {
          const seen = LOOK.snapshotOf(answers)
          origin ??= seen
          ops = whole ? decide(seen) : withoutSwaps(decide(seen))
          if (ops.length === 0) return []
          second = lookAgain(seen, ops)
          return [...ops.map(batchLine), ...second.questions]
        },
        whole ? 'stop' : 'go on',
      )
      const planned = ops
      done = [...done, ...planned.slice(0, failure?.carriedOut)]
      ops = [] // known what became of them
      if (failure) {
        if (attempt < ATTEMPTS && somebodyWasFaster(failure)) continue
        const error = failedBatch(planned, failure, done.length === 0)
        if (onFailure === 'restore' || !whole) throw refusals[0] ?? error
        refusals.push(error)
        continue
      }
      if (!whole) throw refusals[0]
      if (planned.length === 0 || !second) return done
      // Done is what leaves nothing to do: this sees as well what another copy of the plugin did to our decision
      // meanwhile.
      const now = second.snapshotOf(after)
      let left: readonly RouteOp[]
      try {
        left = decide(now)
      } catch (error) {
        if (attempt < ATTEMPTS) continue // an interface is gone, say: a look that sees these as well tells what is wrong
        throw error
      }
      if (left.length === 0) return done
      if (attempt < ATTEMPTS) continue
      const [first, ...others] = [
        ...unmet(planned, now.routes).map(unmetText),
        ...left.map((op) => `${op.origin.path}: still to do: ${batchLine(op)}`),
      ]
      throw new CniError(
        Code.notApplied,
        `ip: the kernel does not show what was applied: ${first}`,
        listed(others).join('; '),
      )
    }
  } catch (error) {
    // Of a batch that nobody knows the end of, all may have been carried out.
    const touched = [...done, ...ops]
    if (!origin || touched.length === 0 || onFailure === 'leave') throw error
    throw await rolledBack(netns, origin, touched, error)
  }
}

const UNTOUCHED = "the pod's routes are as they were"

/** Looks at a namespace, at no more than `at` asks for, and changes nothing. @throws CniError 100, 103, 104, and what `look` throws */
export async function readRoutes<T>(netns: Netns, look: (snapshot: Snapshot) => T, at: Look = LOOK): Promise<T> {
  let seen: { value: T } | undefined
  const { failure } = await converse(netns, at.questions, (answers) => {
    seen = { value: look(at.snapshotOf(answers)) }
    return []
  })
  if (failure) throw failedBatch([], failure, true)
  if (!seen) throw new CniError(Code.internal, 'ip: ended before it was asked')
  return seen.value
}

/**
 * Brings back what `before` shows of the routes in `ops`. @returns the error to report: `error`, with what became of
 * the pod
 */
async function rolledBack(netns: Netns, before: Snapshot, ops: readonly RouteOp[], error: unknown): Promise<CniError> {
  const cause = error instanceof CniError ? error : new CniError(Code.internal, messageOf(error), undefined, error)
  const tell = (code: Code, ...more: string[]) =>
    new CniError(code, cause.message, [cause.details, ...more].filter(Boolean).join('; '), cause)
  const tried: string[] = []
  // What stopped the change may stop the rollback as well, once.
  for (let attempt = 1; ; attempt++) {
    let undo: readonly RouteOp[] | undefined
    let second: Look | undefined
    let told: string[]
    try {
      const { after, failure } = await converse(
        netns,
        LOOK.questions,
        (answers) => {
          const now = LOOK.snapshotOf(answers)
          undo = planRestore(before, now, ops)
          if (undo.length === 0) return []
          tried.push(...undo.map(batchLine))
          second = lookAgain(now, undo)
          return [...undo.map(batchLine), ...second.questions]
        },
        'go on',
      )
      const now = second?.snapshotOf(after).routes ?? []
      const left = unmet(undo ?? [], now)
      if (left.length === 0)
        return tell(cause.code, tried.length > 0 ? `restored by: ${listed(tried).join(', ')}; ${UNTOUCHED}` : UNTOUCHED)
      told = [
        `rolling back failed too: ${[...listed(left.map(unmetText)), failure?.stderr].filter(Boolean).join('; ')}`,
        `still to do: ${listed(left.map(batchLine)).join(', ')}`,
      ]
    } catch (another) {
      told = [
        `rolling back failed too: ${messageOf(another)}`,
        undo
          ? `still to do, unless it was done: ${listed(undo.map(batchLine)).join(', ')}`
          : `may have been done: ${listed(ops.map(batchLine)).join(', ')}`,
      ]
    }
    if (attempt === ROLLBACK_ATTEMPTS) return tell(Code.rollbackFailed, ...told)
  }
}

/** A default route that could not be put in another's place is no reason to take that one away. */
function withoutSwaps(ops: readonly RouteOp[]): RouteOp[] {
  const added = ops.filter(({ op }) => op !== 'del')
  return ops.filter(
    ({ op, route }) =>
      op === 'del' && !added.some((other) => other.route.dst === route.dst && sameWay(other.route, route)),
  )
}

function somebodyWasFaster({ stderr }: Failure): boolean {
  return /File exists|No such process|Cannot find device|No such device/.test(stderr)
}

function failedBatch(ops: readonly RouteOp[], { carriedOut, stderr }: Failure, untouched: boolean): CniError {
  const said = stderr.replace(/^(?:Error|RTNETLINK answers): /, '').replace(/\.$/, '')
  const op = carriedOut === undefined ? undefined : ops[carriedOut]
  if (!op) return new CniError(Code.commandFailed, `ip: stopped before the end: ${said}`)
  return new CniError(
    Code.commandFailed,
    `${op.origin.path}: ip refused it: ${said} ("${batchLine(op)}")${adviceOn(op, said)}`,
    untouched ? UNTOUCHED : undefined,
  )
}

/** What the kernel's words mean for whoever wrote the configuration. */
function adviceOn({ origin, route: { gw, dev, src } }: RouteOp, said: string): string {
  if (origin.key !== 'routes') return ''
  if (gw !== undefined && /invalid gateway|Network is unreachable|No route to host/.test(said)) {
    const advice = origin.gwWritten
      ? `leave out "gw" for the next hop of ${dev} itself, or add "onlink": true`
      : `it is the next hop that ${dev} was seen to have; write another as "gw", or "scope": "link"`
    return `; ${gw} is not reached directly through ${dev}: ${advice}`
  }
  if (src !== undefined && /Invalid source address/.test(said))
    return `; the kernel may still be looking for a duplicate of ${src}: the plugin before must wait for that, or do without (nodad)`
  return ''
}
