import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, fstatSync, openSync, readFileSync, statfsSync, statSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { CniError, Code, listed, messageOf, oneLine } from './errors.ts'
import { IP } from './iproute2.ts'
import { sleep } from './sleep.ts'

/** An open network namespace. The descriptor is what is entered: the path may change its meaning at any time. */
export interface Netns {
  readonly path: string
  readonly fd: number
  /** True if it is the namespace this process itself is in. */
  readonly own: boolean
  /** The command that runs another one in the namespace, which is its descriptor 3. */
  readonly enter: readonly [string, ...string[]]
}

/** @see linux/magic.h */
const NSFS_MAGIC = 0x6e736673

/** What the child may see of the world: the runtime's own environment is none of its business. */
const CHILD_ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/** @see nsenter(1) */
const ENTER = ['nsenter', '--net=/proc/self/fd/3'] as const

const CHILD_LIMIT_MS = 10_000
/** What waits for the kernel itself, as for a lock that a sick node never gives, cannot be killed before it gets it. */
const KILL_LIMIT_MS = 1000

/** More is no answer to be read: 100,000 routes have a fifth of it less. Who is root in the pod decides how many there are. */
const ANSWER_LIMIT = 32 * 1024 * 1024
/** A line is an answer, and there are a dozen at most. */
const MOST_LINES = 1000

/** In this time ip(8) prints some fifty routes, a quarter of what the kernel keeps for us. */
const PACE_MS = 0.1

export type WithNetns = typeof withNetns

/**
 * Opens the namespace at `path` for as long as `use` takes.
 * @throws CniError 4 if there is none
 */
export async function withNetns<T>(path: string, use: (netns: Netns) => Promise<T>): Promise<T> {
  const fd = openPath(path)
  try {
    if (statfsSync(`/proc/self/fd/${fd}`).type !== NSFS_MAGIC) throw notANetns(path)
    const [theirs, mine] = [fstatSync(fd), statSync('/proc/self/ns/net')]
    return await use({ path, fd, own: theirs.ino === mine.ino && theirs.dev === mine.dev, enter: ENTER })
  } finally {
    closeSync(fd)
  }
}

function openPath(path: string): number {
  try {
    // Non-blocking, or a FIFO at this path would hold us for ever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_NETNS: cannot open the network namespace ${path}`,
      messageOf(error),
      error,
    )
  }
}

function notANetns(path: string): CniError {
  return new CniError(
    Code.invalidEnvironment,
    `CNI_NETNS: no network namespace is at ${path}; give a path such as /var/run/netns/NAME or /proc/PID/ns/net`,
  )
}

type Piped = ChildProcess & { stdin: Writable; stdout: Readable; stderr: Readable }

function isPiped(child: ChildProcess): child is Piped {
  return child.stdin !== null && child.stdin !== undefined
}

/** @see capabilities(7), linux/capability.h */
const NEEDED_CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n } as const

/** Which of the capabilities this process lacks that it takes to change the routes of a namespace. */
export function missingCapabilities(): string[] {
  const effective = BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`,
  )
  return Object.entries(NEEDED_CAPABILITIES).flatMap(([name, bit]) => ((effective >> bit) & 1n ? [] : name))
}

/** Why a batch did not come to its end. */
export interface Failure {
  /** How many of the reply's lines were carried out; the next one failed. Undefined if ip(8) did not say. */
  readonly carriedOut: number | undefined
  readonly stderr: string
}

/** How a conversation with ip(8) went. */
export interface Conversation {
  /** A line of JSON for each question. */
  readonly answers: readonly string[]
  /** The same, after the reply's lines were carried out. Fewer than asked if one failed. */
  readonly after: readonly string[]
  readonly failure?: Failure
}

/**
 * One ip(8) in the namespace, asked and told: writes `questions`, and what `reply` makes of the answers. Both are batch
 * lines without line end; which of them answer is the caller's to know: a question always, of the reply's lines the last
 * `questions.length` ones (the questions again), if there are lines at all.
 *
 * ip(8) answers each line of a batch as it comes, so that one process gives a true snapshot, makes the changes, and shows
 * what they did. When `reply` throws, nothing has been changed, and what it threw is thrown.
 * @param onError what follows on a line that fails: nothing more, or the other lines all the same
 * @throws CniError 4, 100, 103, 104 when it comes to no answer
 * @see ip(8) -batch, nsenter(1)
 */
export function converse(
  netns: Netns,
  questions: readonly string[],
  reply: (answers: readonly string[]) => readonly string[],
  onError: 'stop' | 'go on' = 'stop',
): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    const [command, ...args] = netns.enter
    const child = spawn(command, [...args, ...IP, ...(onError === 'stop' ? [] : ['-force'])], {
      env: CHILD_ENV,
      stdio: ['pipe', 'pipe', 'pipe', netns.fd],
      // Not the runtime's directory, which we would keep from being unmounted.
      cwd: '/',
    })
    child.on('error', (error: NodeJS.ErrnoException) => reject(spawnError(error)))
    // Short of descriptors, there is an error and no pipes.
    if (!isPiped(child)) return
    const { stdin, stdout, stderr } = child
    let sent = questions
    const lines: string[] = []
    let partial = ''
    let errors = ''
    let replied = false
    let thrown: { error: unknown } | undefined
    let timedOut = false
    let size = 0

    let timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
      timer = setTimeout(() => fail(timeoutError(sent, 'and cannot be killed')), KILL_LIMIT_MS)
    }, CHILD_LIMIT_MS)
    const fail = (error: unknown) => {
      clearTimeout(timer)
      reject(error)
    }

    stdout.setEncoding('utf8')
    stdout.on('data', (chunk: string) => {
      size += chunk.length
      if (size > ANSWER_LIMIT || lines.length > MOST_LINES) {
        thrown ??= { error: tooMuch() }
        child.kill('SIGKILL')
        stdout.destroy()
        return
      }
      if (!chunk.includes('\n')) {
        partial += chunk // of a long answer: not to be searched again and again
        // ip(8) writes each route by itself: who reads them one by one wakes up thousands of times, and holds up the writer.
        sleep(PACE_MS)
        return
      }
      const parts = (partial + chunk).split('\n')
      partial = parts.pop() ?? ''
      lines.push(...parts)
      if (replied || lines.length < questions.length) return
      replied = true
      let changes: readonly string[] = []
      try {
        changes = reply(lines.slice(0, questions.length))
      } catch (error) {
        thrown = { error }
      }
      sent = [...questions, ...changes]
      stdin.end(changes.map((line) => `${line}\n`).join(''))
    })
    stderr.setEncoding('utf8')
    stderr.on('data', (chunk: string) => {
      if (errors.length < 4096) errors += chunk
      // Told to go on, ip(8) waits for more lines, and we would for its answer.
      if (!replied && errors.includes('Command failed')) stdin.end()
    })
    // A child that ends early breaks the pipe; how it ended says more than that.
    stdin.on('error', () => {})
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      if (timedOut) return fail(timeoutError(sent, 'killed'))
      if (thrown) return fail(thrown.error)
      const answers = lines.slice(0, questions.length)
      const after = lines.slice(questions.length)
      if (!replied) return fail(noAnswer(netns, status, signal, errors))
      if (status === 0) return resolve({ answers, after })
      const line = /Command failed -:(\d+)/.exec(errors)?.[1]
      const said = oneLine(errors.replace(/Command failed -:\d+/, ''))
      const carriedOut = line === undefined ? undefined : Number(line) - 1 - questions.length
      resolve({ answers, after, failure: { carriedOut, stderr: said || `ended with ${signal ?? `status ${status}`}` } })
    })
    stdin.write(questions.map((line) => `${line}\n`).join(''))
  })
}

function tooMuch(): CniError {
  return new CniError(
    Code.commandFailed,
    `ip: printed more than ${ANSWER_LIMIT / 1024 / 1024} MiB; somebody gave the pod more routes than can be read`,
  )
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

function timeoutError(sent: readonly string[], fate: string): CniError {
  return new CniError(
    Code.timeout,
    `ip: no end within ${CHILD_LIMIT_MS / 1000} s, ${fate}`,
    `it had been told: ${listed(sent).join('; ')}`,
  )
}

/** Why a child ended before it had answered the questions. The only place that reads the tools' own words. */
function noAnswer(netns: Netns, status: number | null, signal: string | null, stderr: string): CniError {
  const text = oneLine(stderr)
  if (/failed to execute ip/.test(text)) return missing('ip', 'iproute2', text)
  if (/Option "-(?:json|Numeric|details)" is unknown/.test(text)) {
    return new CniError(Code.toolMissing, 'ip: too old on this node; iproute2 5.3 or newer is needed', text)
  }
  if (/reassociate to namespace.*Invalid argument/.test(text)) return notANetns(netns.path)
  if (/Operation not permitted/.test(text)) {
    return new CniError(Code.commandFailed, `nsenter: may not enter ${netns.path}; CAP_SYS_ADMIN is needed`, text)
  }
  const ended = signal === null ? `exit status ${status}` : `signal ${signal}`
  return new CniError(Code.commandFailed, `ip: gave no answer (${ended})`, text)
}
