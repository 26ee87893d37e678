import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { messageOf, oneLine } from '../errors.ts'
import { CHILD_ENV } from '../kernel/ip.ts'
import { OWN_EXECUTABLE } from './install-file.ts'
import { limitedBy } from './limits.ts'
import { LOOKER, type Question } from './looker.ts'

/**
 * Processes of our own that look at what tenants have made: pods, and the cache entries of pods. If such a process dies or
 * runs out of time, only one verdict is lost: the next question goes to a new process. One that answers is kept, because
 * starting it takes longer than twenty looks at ordinary pods.
 */
export interface Lookers extends Disposable {
  /**
   * Asks all questions, several at a time.
   * @param parse reads an answer; returns undefined if it does not fit the question
   * @param done called after each outcome, with how many there are
   */
  readonly ask: <T>(
    questions: readonly Question[],
    parse: (answer: unknown) => T | undefined,
    done: (count: number) => void,
  ) => Promise<Outcome<T>[]>
}

/** What an answer says, or why there is none. */
export type Outcome<T> = { readonly says: T } | { readonly failed: string }

/** Even with all the memory they may take, these leave some of the 512 MiB of the DaemonSet. */
const AT_ONCE = 4

/**
 * On top of what an idle process has. A look at an ordinary pod takes 5 MiB; at a pod with 10,000 routes and as many
 * configured ones, 55 MiB.
 */
const MEMORY_MIB = 80

/** ip(8) has 10 s, and 1 s to be killed. A process that had to wait for that reports it itself. */
const TIME_LIMIT_S = 15

const ANSWER_BYTES = 4 * 1024 * 1024
const STDERR_BYTES = 4096

/** No process starts before the first question. */
export function startLookers(): Lookers {
  const limits = limitedBy({ data: ownData() + MEMORY_MIB * 1024 * 1024 })
  const workers = Array.from({ length: AT_ONCE }, () => createWorker(limits))
  return {
    ask: (questions, parse, done) => askAll(workers, questions, parse, done),
    [Symbol.dispose]: () => {
      for (const { stop } of workers) stop()
    },
  }
}

async function askAll<T>(
  workers: readonly Worker[],
  questions: readonly Question[],
  parse: (answer: unknown) => T | undefined,
  done: (count: number) => void,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = []
  const waiting = questions.entries()
  let count = 0
  const work = async ({ ask }: Worker) => {
    for (const [index, question] of waiting) {
      outcomes[index] = outcomeOf(await ask(question), parse)
      count += 1
      done(count)
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

/** The line a process wrote, or why it wrote none. `late`: it timed out. */
type Reply = { readonly line: string } | { readonly failed: string; readonly late?: true }

/** Asks one process at a time. */
interface Worker {
  readonly ask: (question: Question) => Promise<Reply>
  readonly stop: () => void
}

function createWorker(limits: readonly string[]): Worker {
  let looker: Worker | undefined
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
      const isNew = looker === undefined
      const reply = await askOnce(question)
      // Earlier questions may have used up its memory, which is not the fault of this one.
      return isNew || 'line' in reply || reply.late ? reply : askOnce(question)
    },
    stop: () => looker?.stop(),
  }
}

function startLooker(limits: readonly string[]): Worker {
  const child = spawnOurselves(limits)
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
        const timer = setTimeout(
          () => settle({ failed: `${SUBJECT} timed out after ${TIME_LIMIT_S} s`, late: true }),
          TIME_LIMIT_S * 1000,
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

/** In its own process group, so that nsenter(1) and ip(8) end with it. */
function spawnOurselves(limits: readonly string[]): ChildProcess {
  // The executable that runs now, even if its file has been replaced.
  const executable = openSync(OWN_EXECUTABLE, 'r')
  try {
    const [command = '', ...args] = [...limits, '/proc/self/fd/3', LOOKER]
    return spawn(command, args, { env: CHILD_ENV, detached: true, stdio: ['pipe', 'pipe', 'pipe', executable] })
  } finally {
    closeSync(executable)
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

/** The private memory of this process in bytes. Most of it is reserved by V8 for code. @see proc_pid_status(5) VmData */
function ownData(): number {
  const [, kib = '0'] = /^VmData:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * 1024
}
