import type { ChildProcess } from 'node:child_process'
import { messageOf, oneLine } from '../errors.ts'
import { limitedBy } from './limits.ts'
import { LOOKER, type Question } from './looker.ts'
import { ownData, spawnOurselves } from './ourselves.ts'

/**
 * Processes of our own that look at what tenants have made: pods, and the cache entries of pods. If such a process dies or
 * runs out of time, only one verdict is lost: the next question goes to a new process. One that answers is kept, because
 * starting it takes longer than twenty looks at ordinary pods.
 */
export interface Lookers extends Disposable {
  /**
   * Asks all questions, several at a time.
   * @param parse reads an answer; returns undefined if it does not fit the question
   * @param done called after each outcome, with how many there are, and of which question it is
   * @param signal once it is aborted, nothing more is asked
   */
  readonly ask: <T>(
    questions: readonly Question[],
    parse: (answer: unknown) => T | undefined,
    done: (count: number, question: number) => void,
    signal?: AbortSignal,
  ) => Promise<Outcome<T>[]>
}

/** What an answer says, or why there is none. `stopped`: because nobody wanted it any more. */
export type Outcome<T> = { readonly says: T } | { readonly failed: string; readonly stopped?: true }

/** Even with all the memory they may take, these leave some of the 512 MiB of the DaemonSet. */
const AT_ONCE = 3

/**
 * On top of what an idle process has. A look at an ordinary pod takes 5 MiB; at a pod with 10,000 routes and as many
 * configured ones, 55 MiB, and a repair of it twice as much.
 */
const MEMORY_MIB = 120

/**
 * For a look, ip(8) has 10 s, and 1 s to be killed. A process that had to wait for that reports it itself. A repair may have to
 * roll back as well, and must be over when calls no longer wait for it (REPAIR_MS).
 */
const TIME_LIMIT_S = { look: 15, repair: 19 } as const

const ANSWER_BYTES = 4 * 1024 * 1024
const STDERR_BYTES = 4096

/** No process starts before the first question. @param atOnce how many there are at most */
export function startLookers(atOnce = AT_ONCE): Lookers {
  const limits = limitedBy({ data: ownData() + MEMORY_MIB * 1024 * 1024 })
  const workers = Array.from({ length: atOnce }, () => createWorker(limits))
  return {
    ask: (questions, parse, done, signal) => {
      const outcomeTo = async ({ ask }: Worker, question: Question) => outcomeOf(await ask(question), parse)
      return askAll(workers, questions, outcomeTo, done, signal)
    },
    [Symbol.dispose]: () => {
      for (const { stop } of workers) stop()
    },
  }
}

async function askAll<T>(
  workers: readonly Worker[],
  questions: readonly Question[],
  outcomeTo: (worker: Worker, question: Question) => Promise<Outcome<T>>,
  done: (count: number, question: number) => void,
  signal: AbortSignal | undefined,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = questions.map(() => STOPPED)
  const waiting = questions.entries()
  let count = 0
  const work = async (worker: Worker) => {
    for (const [index, question] of waiting) {
      if (signal?.aborted) return
      outcomes[index] = await outcomeTo(worker, question)
      count += 1
      done(count, index)
    }
  }
  await Promise.all(workers.map(work))
  return outcomes
}

function outcomeOf<T>(reply: Reply, parse: (answer: unknown) => T | undefined): Outcome<T> {
  if ('failed' in reply) return reply
  try {
    const says = parse(JSON.parse(reply.line))
    if (says !== undefined) return { says }
  } catch {
    // told below
  }
  return { failed: `${SUBJECT} gave an answer that cannot be read` }
}

const STOPPED = { failed: 'it was not looked at any more', stopped: true } as const

/** The line a process wrote, or why it wrote none. `late`: it timed out. */
type Reply = { readonly line: string } | { readonly failed: string; readonly late?: true; readonly stopped?: true }

/** Asks one process at a time. */
interface Worker {
  readonly ask: (question: Question) => Promise<Reply>
  readonly stop: () => void
}

function createWorker(limits: readonly string[]): Worker {
  let looker: Worker | undefined
  let stopped = false
  const askOnce = async (question: Question) => {
    looker ??= startLooker(limits)
    const reply = await looker.ask(question)
    if ('failed' in reply) {
      looker.stop()
      looker = undefined
    }
    return reply
  }
  return {
    ask: async (question) => {
      if (stopped) return STOPPED
      const isNew = looker === undefined
      const reply = await askOnce(question)
      if (stopped && 'failed' in reply) return STOPPED
      // Earlier questions may have used up its memory, which is not the fault of this one. What a repair has done by then is not
      // known, and the next one finds out.
      const isFinal = 'line' in reply || reply.late || 'write' in question
      return isNew || isFinal ? reply : askOnce(question)
    },
    stop: () => {
      stopped = true
      looker?.stop()
    },
  }
}

function startLooker(limits: readonly string[]): Worker {
  // In its own process group, so that nsenter(1) and ip(8) end with it.
  const child = spawnOurselves(limits, [LOOKER], { detached: true })
  let settle: (reply: Reply) => void = () => {}
  let end: Reply | undefined
  let [line, stderr] = ['', '']
  const ended = (failed: string) => {
    end ??= { failed }
    settle(end)
  }
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    line += chunk
    if (chunk.endsWith('\n')) {
      settle({ line })
      line = ''
    } else if (line.length > ANSWER_BYTES) ended(`${SUBJECT} gave an answer that is too long`)
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    if (stderr.length < STDERR_BYTES) stderr += chunk
  })
  // How the process ended says more than a broken pipe.
  child.stdin?.on('error', () => {})
  child.on('error', (error) => ended(`the process to look at it cannot be started: ${messageOf(error)}`))
  child.on('close', (status, signal) => ended(wordsForEnd(status, signal, stderr)))
  return {
    ask: (question) =>
      new Promise((resolve) => {
        if (end) return resolve(end)
        const limit = TIME_LIMIT_S['write' in question ? 'repair' : 'look']
        const timer = setTimeout(
          () => settle({ failed: `${SUBJECT} timed out after ${limit} s`, late: true }),
          limit * 1000,
        )
        settle = (reply) => {
          clearTimeout(timer)
          resolve(reply)
        }
        child.stdin?.write(`${JSON.stringify(question)}\n`)
      }),
    stop: () => killAll(child),
  }
}

function killAll({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // They are gone.
  }
}

const SUBJECT = 'the process that looked at it'

function wordsForEnd(status: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  // The words of V8, Node, C++ and the C library.
  if (/out of memory|allocation failed|bad_alloc|cannot allocate memory|ENOMEM/i.test(stderr))
    return `${SUBJECT} ran out of memory (the limit is ${MEMORY_MIB} MiB)`
  if (signal === 'SIGKILL') return `${SUBJECT} was killed, perhaps because memory was short; see dmesg`
  return [`${SUBJECT} ended (${signal ?? `exit status ${status}`})`, oneLine(stderr)].filter(Boolean).join(': ')
}
