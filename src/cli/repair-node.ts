import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { leaveTurn } from '../kernel/turns.ts'
import type { Only } from '../plan/repair.ts'
import type { Lookers, Outcome } from './lookers.ts'
import { isPodRepair, type PodRepair, type RepairQuestion, repairedAs, SETTLED_MS } from './repair-pod.ts'
import type { Pod } from './result-cache.ts'
import { turnsBelow } from './turns.ts'

export { REPAIR_STATES, type RepairState } from './repair-pod.ts'

/** What became of one pod. */
export interface Repair extends Omit<PodRepair, 'todo'> {
  readonly pod: Pod
}

export interface RepairOptions {
  /** Where the node's root directory is mounted. */
  readonly root: string
  readonly dryRun: boolean
  /** If not everything is to be made right. */
  readonly only?: Only
  /** Once it is aborted, no pod is begun with any more; what is being changed is changed to the end. */
  readonly signal?: AbortSignal
}

/**
 * Makes the routes of pods what the configurations of all their attachments say. What differs is looked at twice.
 * @param done called each time another pod is done with, with how many are
 */
export async function repairPods(
  pods: readonly Pod[],
  lookers: Lookers,
  options: RepairOptions,
  done: (count: number) => void,
): Promise<readonly Repair[]> {
  const { root, dryRun, only, signal } = options
  let unfinished = 0
  const parse = (answer: unknown) => {
    if (!isPodRepair(answer)) return undefined
    if (answer.todo && !dryRun) unfinished += 1
    return answer
  }
  const ask = async (questions: readonly RepairQuestion[], before: number) => {
    const each = (count: number, question: number) => {
      leave(questions[question], root)
      done(before + count - unfinished)
    }
    const outcomes = await lookers.ask(questions, parse, each, signal)
    return questions.map((question, i) => resultOf(outcomes[i], question))
  }
  const first = await ask(
    pods.map((repair) => ({ repair, root, only })),
    0,
  )
  const seen = pods.map((repair, i) => ({ repair, was: first[i] ?? STOPPED }))
  const differing = seen.flatMap(({ repair, was }) => (was.todo && !dryRun ? { repair, was, todo: was.todo } : []))
  if (differing.length === 0) return seen.map(({ repair, was }) => told(repair, was))
  await sleep(SETTLED_MS, undefined, { signal }).catch(() => {})
  const questions = differing.map(({ repair, todo }) => ({
    repair,
    root,
    only,
    write: { todo, owner: randomBytes(8).toString('hex') },
  }))
  const second = await ask(questions, pods.length)
  const now = new Map(differing.map(({ repair, was }, i) => [repair, second[i] ?? was]))
  return seen.map(({ repair, was }) => told(repair, now.get(repair) ?? was))
}

const STOPPED = repairedAs('unknown', ['it was not looked at, because the repair was stopped'])

/** Ends the turn of a process that was killed. Calls wait for it. */
function leave(question: RepairQuestion | undefined, root: string): void {
  if (question?.write) leaveTurn(question.repair.container, question.write.owner, turnsBelow(root))
}

/** Undefined if it was not asked for, since somebody stopped the repair. */
function resultOf(
  outcome: Outcome<PodRepair> | undefined,
  { repair: { netns }, write }: RepairQuestion,
): PodRepair | undefined {
  if (outcome && 'says' in outcome) return outcome.says
  if (!outcome || outcome.stopped) return undefined
  const half = write ? "the pod's routes may be changed in part, and the next repair goes on from there; " : ''
  return repairedAs('error', [`${outcome.failed}; ${half}to look yourself, run: nsenter --net=${netns} ip route`])
}

function told(pod: Pod, { todo: _, ...repair }: PodRepair): Repair {
  return { pod, ...repair }
}
