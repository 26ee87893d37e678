import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { messageOf, oneLine } from '../errors.ts'
import { CHILD_ENV } from '../kernel/ip.ts'
import { OWN as EXECUTABLE } from './install-file.ts'
import { limitedBy } from './limits.ts'
import { LOOKER, type Question } from './looker.ts'

/**
 * Processes of our own that look at what tenants have made: pods, and what cache entries have of them. What costs such a process
 * its life, or all of its time, costs one verdict: the next question goes to a new one. One that answers is kept, since to start
 * it takes longer than twenty looks at ordinary pods.
 */
export interface Lookers extends Disposable {
  /**
   * Asks all questions, some of them at once.
   * @param parse what an answer says; undefined if that is none to such a question
   * @param done told after each how many have their outcome
   */
  readonly ask: <T>(
    questions: readonly Question[],
    parse: (answer: unknown) => T | undefined,
    done: (count: number) => void,
  ) => Promise<Outcome<T>[]>
}

/** What came of a question: what the answer says, or why there is none. */
export type Outcome<T> = { readonly says: T } | { readonly failed: string }

/** All of them together, each with all that it may take, leave something of the 512 MiB that the DaemonSet gives. */
const AT_ONCE = 4

/**
 * More than a process needs that does nothing. A look at an ordinary pod takes 5 of them, at one with 10,000 routes and as many
 * configured 55.
 */
const MEMORY_MIB = 80

/** ip(8) has 10, and one to be killed in; who has waited for that says so. */
const LIMIT_S = 15

const ANSWER_BYTES = 4 * 1024 * 1024
const STDERR_BYTES = 4096

/** None is started before there is something to ask. */
export function startLookers(): Lookers {
  const limits = limitedBy({ data: ownData() + MEMORY_MIB * 1024 * 1024 })
  const places = Array.from({ length: AT_ONCE }, () => placeOf(limits))
  return {
    ask: (questions, parse, done) => askAll(places, questions, parse, done),
    [Symbol.dispose]: () => {
      for (const { stop } of places) stop()
    },
  }
}

async function askAll<T>(
  places: readonly Place[],
  questions: readonly Question[],
  parse: (answer: unknown) => T | undefined,
  done: (count: number) => void,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = []
  const waiting = questions.entries()
  let count = 0
  const work = async ({ ask }: Place) => {
    for (const [index, question] of waiting) {
      outcomes[index] = outcomeOf(await ask(question), parse)
      count += 1
      done(count)
    }
  }
  await Promise.all(places.map(work))
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
  return { failed: `${SUBJECT} gave no answer that can be read` }
}

/** What a process wrote, or why it did not. `late`: it had all the time there is. */
type Reply = { readonly line: string } | { readonly failed: string; readonly late?: true }

/** Where one process is at a time. */
interface Place {
  readonly ask: (question: Question) => Promise<Reply>
  readonly stop: () => void
}

function placeOf(limits: readonly string[]): Place {
  let looker: Place | undefined
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
      // What it had looked at before may have left it short of memory: that is not this one's fault.
      return isNew || 'line' in reply || reply.late ? reply : askOnce(question)
    },
    stop: () => looker?.stop(),
  }
}

function startLooker(limits: readonly string[]): Place {
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
    } else if (line.length > ANSWER_BYTES) ended(`${SUBJECT} gave an answer without end`)
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    if (stderr.length < STDERR_BYTES) stderr += chunk
  })
  // How it ended says more than a broken pipe.
  child.stdin?.on('error', () => {})
  child.on('error', (error) => ended(`no process to look at it could be started: ${messageOf(error)}`))
  child.on('close', (status, signal) => ended(wordsForEnd(status, signal, stderr)))
  return {
    ask: (question) =>
      new Promise((resolve) => {
        if (end) return resolve(end)
        const timer = setTimeout(
          () => settle({ failed: `looking at it takes longer than ${LIMIT_S} s`, late: true }),
          LIMIT_S * 1000,
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

/** With a process group of its own, so that nsenter(1) and ip(8) end with it. */
function spawnOurselves(limits: readonly string[]): ChildProcess {
  // The very executable that runs now, also when there is another in its place.
  const executable = openSync(EXECUTABLE, 'r')
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
  // V8's words, Node's, C++'s and the C library's.
  if (/out of memory|allocation failed|bad_alloc|cannot allocate memory|ENOMEM/i.test(stderr))
    return `looking at it takes more than ${MEMORY_MIB} MiB of memory`
  if (signal === 'SIGKILL') return `${SUBJECT} was killed, perhaps for lack of memory: see dmesg`
  return [`${SUBJECT} ended (${signal ?? `exit status ${status}`})`, oneLine(stderr)].filter(Boolean).join(': ')
}

/** What this process may write to, in bytes; most of it is room that V8 reserves for code. @see proc_pid_status(5) VmData */
function ownData(): number {
  const [, kib = '0'] = /^VmData:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * 1024
}
