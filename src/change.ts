import { CniError, Code, messageOf } from './errors.ts'
import { batchLine, parseLinks, parseRoutes, SHOW_LINKS, SHOW_ROUTES } from './iproute2.ts'
import { converse, type Netns } from './netns.ts'
import { planRestore, unmet } from './plan.ts'
import type { RouteOp, Snapshot } from './route.ts'

const QUESTIONS = [SHOW_ROUTES, SHOW_LINKS] as const

/**
 * Changes the routes of a namespace: `decide` is given what the kernel holds and says what to do. Afterwards the kernel
 * shows all of it, or an error was thrown and the routes are as they were.
 * @returns the operations carried out
 * @throws CniError 100 or 101 (rolled back), 102 (rollback failed), 103, 104, and whatever `decide` throws (nothing changed)
 */
export async function changeRoutes(
  netns: Netns,
  decide: (snapshot: Snapshot) => readonly RouteOp[],
): Promise<readonly RouteOp[]> {
  let before: Snapshot | undefined
  let ops: readonly RouteOp[] = []
  try {
    const { after, failure } = await converse(netns, QUESTIONS, (answers) => {
      before = snapshotOf(answers)
      ops = decide(before)
      return ops.length > 0 ? [...ops.map(batchLine), SHOW_ROUTES] : []
    })
    if (ops.length === 0 && !failure) return ops
    if (failure) throw failedBatch(ops, failure)
    const differences = unmet(ops, parseAnswer(parseRoutes, after[0]))
    if (differences.length === 0) return ops
    throw new CniError(
      Code.notApplied,
      `ip: the kernel does not show what was applied: ${differences[0]}`,
      differences.slice(1).join('; '),
    )
  } catch (error) {
    if (!before || ops.length === 0) throw error
    throw await rolledBack(netns, before, ops, error)
  }
}

/** Looks at a namespace and changes nothing. */
export async function readRoutes<T>(netns: Netns, look: (snapshot: Snapshot) => T): Promise<T> {
  let seen: { value: T } | undefined
  await changeRoutes(netns, (snapshot) => {
    seen = { value: look(snapshot) }
    return []
  })
  if (!seen) throw new CniError(Code.internal, 'ip: ended before it was asked')
  return seen.value
}

/** Brings back what `before` shows of the routes in `ops`. @returns the error to report: `error`, with what became of the pod */
async function rolledBack(netns: Netns, before: Snapshot, ops: readonly RouteOp[], error: unknown): Promise<CniError> {
  const cause = error instanceof CniError ? error : new CniError(Code.internal, messageOf(error), undefined, error)
  const tell = (code: Code, ...more: string[]) =>
    new CniError(code, cause.message, [cause.details, ...more].filter(Boolean).join('; '), cause)
  let undo: readonly RouteOp[] = []
  try {
    const { after, failure } = await converse(netns, QUESTIONS, (answers) => {
      undo = planRestore(before, snapshotOf(answers), ops)
      return [...undo.map(batchLine), SHOW_ROUTES]
    })
    const left = failure ? [failure.stderr] : unmet(undo, parseAnswer(parseRoutes, after[0]))
    if (left.length === 0) {
      const lines = undo.map(batchLine)
      return tell(
        cause.code,
        lines.length > 0
          ? `restored by: ${lines.join(', ')}; the pod's routes are as they were`
          : "the pod's routes are as they were",
      )
    }
    return tell(
      Code.rollbackFailed,
      `rolling back failed too: ${left.join('; ')}`,
      `still to do: ${undo.map(batchLine).join(', ')}`,
    )
  } catch (second) {
    const todo =
      undo.length > 0
        ? `still to do: ${undo.map(batchLine).join(', ')}`
        : `may have been done: ${ops.map(batchLine).join(', ')}`
    return tell(Code.rollbackFailed, `rolling back failed too: ${messageOf(second)}`, todo)
  }
}

function failedBatch(ops: readonly RouteOp[], failure: { line: string | undefined; stderr: string }): CniError {
  const { line, stderr } = failure
  if (line === undefined) return new CniError(Code.commandFailed, `ip: stopped before the end: ${stderr}`)
  const op = ops.find((candidate) => batchLine(candidate) === line)
  return new CniError(Code.commandFailed, `${op ? `${op.why}: ` : ''}ip refused "${line}": ${stderr}`)
}

function snapshotOf(answers: readonly string[]): Snapshot {
  return { routes: parseAnswer(parseRoutes, answers[0]), links: parseAnswer(parseLinks, answers[1]) }
}

function parseAnswer<T>(parse: (answer: string) => T, answer: string | undefined): T {
  try {
    return parse(answer ?? '')
  } catch (error) {
    throw new CniError(
      Code.toolMissing,
      'ip: answered something else than JSON; iproute2 5.2 or newer is needed',
      `${messageOf(error)}: ${(answer ?? '').slice(0, 200)}`,
      error,
    )
  }
}
