import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { queryObjects } from 'node:v8'
import { CniError, Code, listed, messageOf, oneLine, TooMuch } from '../errors.ts'
import { IP } from '../net/iproute2.ts'
import { sleep } from '../sleep.ts'
import { clock } from './clock.ts'
import type { Listener, Look } from './look.ts'
import { type Netns, notANetns } from './netns.ts'
import { Pieces } from './pieces.ts'

/** What the child may see of the world: the runtime's own environment is none of its business. */
export const CHILD_ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/** How long ip(8) may be silent. */
const SILENCE_MS = 10_000
/** What waits for the kernel itself, as for a lock that a sick node never gives, cannot be killed before it gets it. */
const KILL_LIMIT_MS = 1000

/** In this time ip(8) prints some fifty routes, a quarter of what the kernel keeps for us. */
const PACE_MS = 0.1

/**
 * What is read of a long answer is garbage at once, some of it in V8's old generation, which is not collected before it has
 * grown by more than all that an ordinary call needs.
 */
const COLLECT_AFTER = 1024 * 1024

/** What ip(8) says, and no more, where the kernel changed what it showed. */
const INTERRUPTED = 'Dump was interrupted'

/** A thousand times what an ordinary pod makes ip(8) say. */
const VERY_MUCH = 4 * 1024 * 1024

/** As much of stderr as is read. */
const MOST_ERRORS = 4096
/** As much as may come on stdout that nobody asked for. */
const MOST_UNASKED = 64 * 1024

/** Why a batch did not come to its end. */
export interface Failure {
  /** How many of the lines told were carried out; the next one failed. Undefined if nobody knows. */
  readonly carriedOut: number | undefined
  readonly stderr: string
  /** It did not end by itself. */
  readonly error?: unknown
}

/** What came of lines that were told. */
export interface Told<T> {
  /** What was heard afterwards; absent if a line failed. */
  readonly heard?: T
  readonly failure?: Failure
  /** The kernel changed what it showed while it showed it: what was heard may not be so. */
  readonly blurred: boolean
}

/** A conversation with one ip(8) in a namespace. */
export interface Ip {
  /**
   * What the kernel shows.
   * @throws CniError 100, 103, 104 if it comes to no answer, TooMuch if that cannot be had or kept; and what `look` throws
   */
  readonly ask: <T>(look: Look<T>) => Promise<{ readonly heard: T; readonly blurred: boolean }>
  /** Carries out batch lines, looks, and ends. Never throws: of lines that were sent something may have been done. */
  readonly tell: <T>(lines: readonly string[], look: Look<T> | undefined) => Promise<Told<T>>
}

/**
 * Has a conversation with one ip(8) in the namespace: it answers each line of a batch as it comes, so that one process gives a true
 * snapshot, makes the changes, and shows what they did.
 * @param onError what follows on a line that fails: nothing more, or the other lines all the same
 * @see ip(8) -batch, nsenter(1)
 */
export async function converse<T>(netns: Netns, onError: 'stop' | 'go on', use: (ip: Ip) => Promise<T>): Promise<T> {
  const child = new Child(netns, [...IP, ...(onError === 'stop' ? [] : ['-force'])])
  try {
    return await use({ ask: (look) => child.ask(look), tell: (lines, look) => child.tell(lines, look) })
  } finally {
    await child.stop()
  }
}

/** Runs one ip(8) with these words, to its end. @returns why it failed, if it did */
export async function runAlone(netns: Netns, words: readonly string[]): Promise<Failure | undefined> {
  const child = new Child(netns, ['ip', ...words])
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

/** Who waits for answers. */
interface Hearing {
  readonly listener: Listener<unknown>
  readonly questions: number
  answered: number
  readonly end: PromiseWithResolvers<void>
}

/** An ip(8) that is asked and told, and what it has said so far. */
class Child {
  readonly #netns: Netns
  readonly #child: ChildProcess
  readonly #pieces = new Pieces()
  #hearing: Hearing | undefined
  /** What came on stdout that nobody has asked for yet. */
  #unasked = ''
  #errors = ''
  #blurred = false
  /** Lines that were sent, and how many of them were before the last ones. */
  #sent: readonly string[] = []
  #sentBefore = 0
  #heardAt = clock()
  /** How many characters have come. */
  #heard = 0
  /** How much of a long answer since garbage was collected. */
  #taken = 0
  #timer: NodeJS.Timeout | undefined
  /** Why it was not let go on, and since when. */
  #broken: { readonly error: unknown; readonly at: number } | undefined
  #status: number | string | null | undefined
  readonly #closed = Promise.withResolvers<void>()

  constructor(netns: Netns, args: readonly string[]) {
    this.#netns = netns
    const [command, ...enter] = netns.enter
    const child = spawn(command, [...enter, ...args], {
      env: CHILD_ENV,
      stdio: ['pipe', 'pipe', 'pipe', netns.fd],
      // Not the runtime's directory, which we would keep from being unmounted.
      cwd: '/',
    })
    this.#child = child
    child.on('error', (error: NodeJS.ErrnoException) => {
      this.#broken ??= { error: spawnError(error), at: clock() }
      this.#close(null)
    })
    // Short of descriptors, there is an error and no pipes.
    if (!isPiped(child)) return
    this.#watch()
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => this.#onText(text))
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text: string) => this.#onError(text))
    // A child that ends early breaks the pipe; how it ended says more than that.
    child.stdin.on('error', () => {})
    child.on('close', (status, signal) => this.#close(status ?? signal))
  }

  async ask<T>(look: Look<T>): Promise<{ heard: T; blurred: boolean }> {
    const listener = look.listen()
    const { end } = this.#listen(look.questions, listener)
    this.#child.stdin?.write(batch(look.questions))
    await end.promise
    // ip(8) says that an answer was interrupted before it ends the answer, but on stderr, which may be read after stdout. What was
    // written before is there in the next turn of the event loop, and has been read at its end.
    await nextTurn()
    await nextTurn()
    return { heard: listener.heard(), blurred: this.#blurred }
  }

  async tell<T>(lines: readonly string[], look: Look<T> | undefined): Promise<Told<T>> {
    const questions = look?.questions ?? []
    const listener = look?.listen()
    this.#sentBefore = this.#sent.length
    const hearing = listener && this.#listen(questions, listener, lines)
    // Told below, by how it ended.
    hearing?.end.promise.catch(() => {})
    this.#child.stdin?.end(batch([...lines, ...questions]))
    await this.#closed.promise
    const blurred = this.#blurred
    const complete = hearing === undefined || hearing.answered === hearing.questions
    const heard = listener && complete && !this.#broken ? { heard: listener.heard() } : {}
    if (this.#broken) return { blurred, failure: { carriedOut: undefined, stderr: '', error: this.#broken.error } }
    if (this.#status !== 0) return { ...heard, blurred, failure: this.#failure() }
    if (complete) return { ...heard, blurred }
    const error = new CniError(Code.commandFailed, 'ip: ended before it had answered all', this.#told())
    return { blurred, failure: { carriedOut: undefined, stderr: '', error } }
  }

  /** Leaves no process behind. */
  async stop(): Promise<void> {
    if (this.#status !== undefined) return
    this.#hearing = undefined
    this.#child.stdin?.end()
    await this.#closed.promise
  }

  #listen(questions: readonly string[], listener: Listener<unknown>, lines: readonly string[] = []): Hearing {
    const hearing = { listener, questions: questions.length, answered: 0, end: Promise.withResolvers<void>() }
    this.#sent = [...this.#sent, ...lines, ...questions]
    this.#hearing = hearing
    if (this.#status !== undefined) hearing.end.reject(this.#reason())
    const unasked = this.#unasked
    this.#unasked = ''
    if (unasked !== '') this.#onText(unasked)
    return hearing
  }

  #onText(text: string): void {
    if (this.#broken) return
    this.#heardAt = clock()
    this.#heard += text.length
    try {
      if (this.#heardAt > this.#netns.until) throw this.#late()
      this.#hear(text)
    } catch (error) {
      // What was told is carried out to its end, unless there is none.
      if (this.#child.stdin?.writableEnded && !(error instanceof TooMuch)) this.#broken ??= { error, at: clock() }
      else this.#break(error)
      return
    }
    // ip(8) writes each route by itself: who reads them one by one wakes up thousands of times, and holds up the writer.
    if (!text.includes('\n')) sleep(PACE_MS)
  }

  #hear(text: string): void {
    let rest = text
    while (rest !== '') {
      const hearing = this.#hearing
      if (!hearing) {
        this.#unasked += rest
        if (this.#unasked.length > MOST_UNASKED) throw new TooMuch('ip: prints what it was not asked for')
        return
      }
      const { listener, answered } = hearing
      const end = rest.indexOf('\n')
      if (end < 0) {
        const piece = this.#pieces.add(rest)
        if (piece === undefined) return
        listener.take(answered, piece, false)
        this.#taken += piece.length
        if (this.#taken < COLLECT_AFTER) return
        this.#taken = 0
        collectGarbage()
        return
      }
      const whole = !this.#pieces.cut
      listener.take(answered, this.#pieces.finish(rest.slice(0, end)), whole)
      rest = rest.slice(end + 1)
      hearing.answered += 1
      if (hearing.answered < hearing.questions) continue
      this.#hearing = undefined
      hearing.end.resolve()
    }
  }

  #onError(text: string): void {
    // Whatever else it says, and how much.
    this.#blurred ||= (this.#errors.slice(-INTERRUPTED.length) + text).includes(INTERRUPTED)
    if (this.#errors.length < MOST_ERRORS) this.#errors += text
    // Told to go on, ip(8) waits for more lines, and we would for its answer.
    if (this.#hearing && this.#errors.includes('Command failed')) this.#child.stdin?.end()
  }

  /** Ends it before it has ended. */
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

  #close(status: number | string | null): void {
    clearTimeout(this.#timer)
    this.#status = status
    this.#hearing?.end.reject(this.#reason())
    this.#closed.resolve()
  }

  /** Ends it when its time is over. */
  #watch(): void {
    const left = Math.min(this.#heardAt + SILENCE_MS, this.#netns.until) - clock()
    if (left <= 0) this.#break(this.#late())
    else this.#timer = setTimeout(() => this.#watch(), left)
  }

  #late(): CniError {
    // Only of what has said very much it is known that the pod is at fault, and not the node.
    if (!this.#hearing || this.#heard < VERY_MUCH) return this.#timeout('and was killed')
    const says =
      'the pod holds more than can be read in time; whoever has CAP_NET_ADMIN in it made it, and must remove it'
    return new TooMuch(`ip: ${says}`, this.#told())
  }

  #timeout(fate: string): CniError {
    const silence = (this.#broken?.at ?? clock()) - this.#heardAt
    const what =
      silence < SILENCE_MS ? 'not done when the call had no time left,' : `timed out after ${SILENCE_MS / 1000} s`
    return new CniError(Code.timeout, `ip: ${what} ${fate}`, this.#told())
  }

  #told(): string {
    return `it had been told: ${listed(this.#sent).join('; ')}`
  }

  /** Why there is no answer. */
  #reason(): unknown {
    // Where a question failed, half an answer is no JSON, and the next answer is to another question: what ip(8) said says more.
    const failed = /Command failed|Dump terminated/.test(this.#errors) && !(this.#broken?.error instanceof TooMuch)
    if (this.#broken && !failed) return this.#broken.error
    return noAnswer(this.#netns, this.#status, this.#errors)
  }

  #failure(): Failure {
    const line = /Command failed -:(\d+)/.exec(this.#errors)?.[1]
    const said = oneLine(this.#errors.replace(/Command failed -:\d+/, ''))
    return {
      // Who was killed has not told all.
      carriedOut:
        line === undefined || typeof this.#status === 'string' ? undefined : Number(line) - 1 - this.#sentBefore,
      stderr: said || `ended with ${ending(this.#status)}`,
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Looks for objects of a class that nobody made, in a heap that V8 has collected first. */
function collectGarbage(): void {
  queryObjects(class Nothing {})
}

function batch(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

function spawnError(error: NodeJS.ErrnoException): CniError {
  if (error.code === 'ENOENT' || error.code === 'EACCES')
    return missing('nsenter', 'util-linux', messageOf(error), error)
  return new CniError(Code.commandFailed, 'nsenter: could not be started', messageOf(error), error)
}

function missing(tool: string, debianPackage: string, details: string, cause?: unknown): CniError {
  return new CniError(
    Code.toolMissing,
    `${tool}: not found on this node in ${CHILD_ENV.PATH}; install ${debianPackage}`,
    details,
    cause,
  )
}

function ending(status: number | string | null | undefined): string {
  return typeof status === 'string' ? `signal ${status}` : `exit status ${status}`
}

/** Why a child ended before it had answered the questions. The only place that reads the tools' own words. */
function noAnswer(netns: Netns, status: number | string | null | undefined, stderr: string): CniError {
  const text = oneLine(stderr)
  if (/failed to execute ip/.test(text)) return missing('ip', 'iproute2', text)
  if (/Option "-(?:json|Numeric|details)" is unknown/.test(text)) {
    return new CniError(Code.toolMissing, 'ip: too old on this node; iproute2 5.3 or newer is needed', text)
  }
  if (/reassociate to namespace.*Invalid argument/.test(text)) return notANetns(netns.path)
  if (/Operation not permitted/.test(text)) {
    return new CniError(Code.commandFailed, `nsenter: may not enter ${netns.path}; CAP_SYS_ADMIN is needed`, text)
  }
  // @see linux net/ipv4/fib_semantics.c fib_dump_info: one that needs more than a message of 32 KiB, with some 240 next hops
  if (/Buffer too small/.test(text)) {
    const says =
      "the kernel cannot show the pod's routes: one has too many next hops; whoever has CAP_NET_ADMIN in the pod made it, and must remove it"
    return new TooMuch(`ip: ${says}`, text)
  }
  return new CniError(Code.commandFailed, `ip: gave no answer (${ending(status)})`, text)
}
