import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { queryObjects } from 'node:v8'
import { CniError, Code, listed, oneLine, TooMuch } from '../errors.ts'
import { IP } from '../net/iproute2.ts'
import { sleep } from '../sleep.ts'
import { Answers, type Waiting } from './answers.ts'
import { clock } from './clock.ts'
import { type Ending, endingText, noAnswer, spawnError } from './ip-errors.ts'
import type { Listener, Look } from './look.ts'
import type { Netns } from './netns.ts'
import { CHILD_ENV } from './tools.ts'

/** How long ip(8) may be silent. */
const SILENCE_MS = 10_000
/** How long a killed child may take to die: one that waits inside the kernel, for a lock on a sick node, may never. */
const KILL_LIMIT_MS = 1000

/**
 * How long to wait for more output before reading on (see #onText). In this time ip(8) prints some fifty routes, a
 * quarter of what a pipe holds.
 */
const PACE_MS = 0.1

/**
 * After this many characters of a long answer, garbage is collected. The answer becomes garbage as it is read, some of
 * it in V8's old generation, which V8 would let grow by more than an ordinary call needs in all.
 */
const COLLECT_AFTER = 1024 * 1024

/** ip(8) prints this, with success, when the kernel's tables changed while they were listed. */
const INTERRUPTED = 'Dump was interrupted'

/**
 * After more output than this, a timeout is the pod's fault and not the node's. It is a thousand times what ip(8) prints
 * in an ordinary pod.
 */
const MUCH_OUTPUT = 4 * 1024 * 1024

/** How much of stderr is kept. */
const MAX_ERRORS = 4096

/** Why a batch was not carried out to its end. */
export interface Failure {
  /** How many of the lines that were told were carried out; the next one failed. Undefined if unknown. */
  readonly carriedOut: number | undefined
  readonly stderr: string
  /** Set if the child did not end by itself. */
  readonly error?: unknown
}

/** What became of lines that were told. */
export interface Told<T> {
  /** What was heard afterwards; absent if a line failed. */
  readonly heard?: T
  readonly failure?: Failure
  /** The kernel's tables changed while they were listed: what was heard may be wrong. */
  readonly blurred: boolean
}

/** A conversation with one ip(8) in a namespace. */
export interface Ip {
  /**
   * What the kernel shows.
   * @throws CniError 100, 103, 104 if there is no answer, TooMuch if it is too large to read or keep; and what `look`
   * throws
   */
  readonly ask: <T>(look: Look<T>) => Promise<{ readonly heard: T; readonly blurred: boolean }>
  /** Carries out batch lines, looks, and ends. Never throws: lines that were sent may have been carried out. */
  readonly tell: <T>(lines: readonly string[], look: Look<T> | undefined) => Promise<Told<T>>
}

/**
 * Holds a conversation with one ip(8) in the namespace. It answers each line of a batch as it comes, so one process
 * gives a true snapshot, makes the changes, and shows what they did.
 * @param onError whether a line that fails ends the batch, or the other lines are carried out all the same
 * @param options more options of ip(8)
 * @see ip(8) -batch, nsenter(1)
 */
export async function converse<T>(
  netns: Netns,
  onError: 'stop' | 'go on',
  use: (ip: Ip) => Promise<T>,
  options: readonly string[] = [],
): Promise<T> {
  const child = new Child(netns, [...IP, ...options, ...(onError === 'stop' ? [] : ['-force'])])
  try {
    return await use({ ask: (look) => child.ask(look), tell: (lines, look) => child.tell(lines, look) })
  } finally {
    await child.stop()
  }
}

/** Runs one ip(8) with these arguments. @returns why it failed, if it did */
export async function runAlone(netns: Netns, args: readonly string[]): Promise<Failure | undefined> {
  const child = new Child(netns, ['ip', ...args])
  try {
    return (await child.tell([], undefined)).failure
  } finally {
    await child.stop()
  }
}

type Piped = ChildProcess & { stdin: Writable; stdout: Readable; stderr: Readable }

function isPiped(child: ChildProcess): child is Piped {
  return child.stdin !== null && child.stdin !== undefined
}

/** One ip(8) process, and what it has printed so far. */
class Child {
  readonly #netns: Netns
  readonly #child: ChildProcess
  readonly #answers = new Answers()
  #errors = ''
  /** What stderr said last: only the beginning is kept, and a word may come in two parts. */
  #lastError = ''
  #blurred = false
  /** All lines sent, and how many of them came before the last `tell`. */
  #sent: readonly string[] = []
  #sentBefore = 0
  #heardAt = clock()
  /** How many characters have come in all. */
  #received = 0
  /** How many of a long answer since garbage was last collected. */
  #handedOn = 0
  #timer: NodeJS.Timeout | undefined
  /** Why we ended it, and when. */
  #broken: { readonly error: unknown; readonly at: number } | undefined
  /** Undefined while it runs; null if it was never started, or could not be killed. */
  #ending: Ending
  readonly #closed = Promise.withResolvers<void>()

  constructor(netns: Netns, args: readonly string[]) {
    this.#netns = netns
    const [command, ...enter] = netns.enter
    const child = spawn(command, [...enter, ...args], {
      env: CHILD_ENV,
      stdio: ['pipe', 'pipe', 'pipe', netns.fd],
      // The runtime's directory could not be unmounted while we are in it.
      cwd: '/',
    })
    this.#child = child
    child.on('error', (error: NodeJS.ErrnoException) => {
      this.#broken ??= { error: spawnError(error), at: clock() }
      this.#close(null)
    })
    // Without free descriptors, there is an error and no pipes.
    if (!isPiped(child)) return
    this.#watch()
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => this.#onText(text))
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text: string) => this.#onError(text))
    // A child that ends early breaks the pipe; how it ended says more.
    child.stdin.on('error', () => {})
    child.on('close', (status, signal) => this.#close(status ?? signal))
  }

  async ask<T>(look: Look<T>): Promise<{ heard: T; blurred: boolean }> {
    const listener = look.listen()
    const { end } = this.#expect(look.questions, listener)
    this.#child.stdin?.write(batch(look.questions))
    await end.promise
    // ip(8) prints that an answer was interrupted before it ends the answer, but on stderr, which may be read after
    // stdout. By the second turn of the event loop everything printed before has been read.
    await nextTurn()
    await nextTurn()
    return { heard: listener.heard(), blurred: this.#blurred }
  }

  async tell<T>(lines: readonly string[], look: Look<T> | undefined): Promise<Told<T>> {
    const questions = look?.questions ?? []
    const listener = look?.listen()
    this.#sentBefore = this.#sent.length
    this.#heardAt = clock()
    const waiting = listener && this.#expect(questions, listener, lines)
    // Reported below, by how the child ended.
    waiting?.end.promise.catch(() => {})
    this.#child.stdin?.end(batch([...lines, ...questions]))
    await this.#closed.promise
    const blurred = this.#blurred
    const complete = waiting === undefined || waiting.answered === waiting.questions
    const heard = listener && complete && !this.#broken ? { heard: listener.heard() } : {}
    if (this.#broken) return { blurred, failure: { carriedOut: undefined, stderr: '', error: this.#broken.error } }
    if (this.#ending !== 0) return { ...heard, blurred, failure: this.#failure() }
    if (complete) return { ...heard, blurred }
    const error = new CniError(Code.commandFailed, 'ip: ended before it had answered everything', this.#sentText())
    return { blurred, failure: { carriedOut: undefined, stderr: '', error } }
  }

  /** Waits for the process to end. */
  async stop(): Promise<void> {
    if (this.#ending !== undefined) return
    this.#answers.giveUp()
    this.#child.stdin?.end()
    await this.#closed.promise
  }

  #expect(questions: readonly string[], listener: Listener<unknown>, lines: readonly string[] = []): Waiting {
    const waiting = this.#answers.expect(questions.length, listener)
    this.#sent = [...this.#sent, ...lines, ...questions]
    if (this.#ending !== undefined) waiting.end.reject(this.#reason())
    const early = this.#answers.takeEarly()
    if (early !== '') this.#onText(early)
    return waiting
  }

  #onText(text: string): void {
    if (this.#broken) return
    this.#heardAt = clock()
    this.#received += text.length
    try {
      if (this.#heardAt > this.#netns.until) throw this.#late()
      this.#handedOn += this.#answers.add(text)
    } catch (error) {
      // Let ip(8) finish the lines it was sent; kill it only if its output would never end.
      if (this.#child.stdin?.writableEnded && !(error instanceof TooMuch)) this.#broken ??= { error, at: clock() }
      else this.#break(error)
      return
    }
    if (this.#handedOn >= COLLECT_AFTER) {
      this.#handedOn = 0
      collectGarbage()
    }
    // ip(8) writes each route by itself. Reading them one by one would wake us up thousands of times, and hold up
    // ip(8).
    if (!text.includes('\n')) sleep(PACE_MS)
  }

  #onError(text: string): void {
    this.#lastError += text
    this.#blurred ||= this.#lastError.includes(INTERRUPTED)
    this.#lastError = this.#lastError.slice(-INTERRUPTED.length)
    if (this.#errors.length < MAX_ERRORS) this.#errors += text
    // With -force, ip(8) goes on to wait for more lines, and we would wait for its answer.
    if (this.#answers.waiting && this.#errors.includes('Command failed')) this.#child.stdin?.end()
  }

  /** Kills it. */
  #break(error: unknown): void {
    this.#broken ??= { error, at: clock() }
    this.#child.kill('SIGKILL')
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const { error, at } = this.#broken ?? { at: clock() }
      const isLate = error instanceof CniError && error.code === Code.timeout
      if (isLate) this.#broken = { error: this.#timeout('and cannot be killed'), at }
      this.#close(null)
    }, KILL_LIMIT_MS)
  }

  #close(ending: number | string | null): void {
    clearTimeout(this.#timer)
    this.#ending = ending
    this.#answers.waiting?.end.reject(this.#reason())
    this.#closed.resolve()
  }

  /** Kills it at its time limit. */
  #watch(): void {
    // It may wait for us, while another answers.
    if (!this.#answers.waiting && !this.#child.stdin?.writableEnded) this.#heardAt = clock()
    const left = Math.min(this.#heardAt + SILENCE_MS, this.#netns.until) - clock()
    if (left <= 0) this.#break(this.#late())
    else this.#timer = setTimeout(() => this.#watch(), left)
  }

  #late(): CniError {
    if (!this.#answers.waiting || this.#received < MUCH_OUTPUT) return this.#timeout('and was killed')
    const says =
      'the pod holds more than can be read in time; somebody with CAP_NET_ADMIN in it made it and must remove it'
    return new TooMuch(`ip: ${says}`, this.#sentText())
  }

  #timeout(fate: string): CniError {
    const silence = (this.#broken?.at ?? clock()) - this.#heardAt
    const what =
      silence < SILENCE_MS ? "not done within the call's time limit" : `timed out after ${SILENCE_MS / 1000} s`
    return new CniError(Code.timeout, `ip: ${what} ${fate}`, this.#sentText())
  }

  #sentText(): string {
    return `lines sent: ${listed(this.#sent).join('; ')}`
  }

  /** Why there is no answer. */
  #reason(): unknown {
    // After a question that failed, half an answer is not JSON, and the next answer is to another question: stderr says
    // more.
    const failed = /Command failed|Dump terminated/.test(this.#errors) && !(this.#broken?.error instanceof TooMuch)
    if (this.#broken && !failed) return this.#broken.error
    return noAnswer(this.#netns, this.#ending, this.#errors)
  }

  #failure(): Failure {
    const line = /Command failed -:(\d+)/.exec(this.#errors)?.[1]
    // A killed child may have carried out more than stderr tells.
    const known = line !== undefined && typeof this.#ending !== 'string'
    return {
      carriedOut: known ? Number(line) - 1 - this.#sentBefore : undefined,
      stderr: oneLine(this.#errors.replace(/Command failed -:\d+/, '')) || `ended with ${endingText(this.#ending)}`,
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Looking for objects of a class that has none makes V8 collect garbage first. */
function collectGarbage(): void {
  queryObjects(class Nothing {})
}

function batch(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
