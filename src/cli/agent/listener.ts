import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject } from '../../cni/request.ts'
import { messageOf, oneLine } from '../../errors.ts'
import { Trouble } from '../command.ts'
import { limitedBy } from '../limits.ts'
import { ownData, spawnOurselves } from '../ourselves.ts'
import type { Address } from './address.ts'
import type { Log } from './log.ts'
import type { Started } from './serve.ts'
import type { AgentState } from './state.ts'

/** The word with which this executable starts itself to answer HTTP. Only the agent uses it, so no help has it. */
export const LISTENER = '--listener'

/** Nobody's user and group on every Linux. */
const NOBODY = 65_534

/** On top of what an idle process has: connections and the text of the metrics. */
const MEMORY_MIB = 96

/** How often the state is told even if it is the same. */
const TELL_AGAIN_MS = 5000

/** The process that listens, and what it is told. It gets no capability, so that a fault in it is none of the node. */
export class Listener {
  #address: Address
  readonly #log: Log
  #child: ChildProcess | undefined
  #told = ''
  #toldAt = 0
  #stopped = false

  constructor(address: Address, log: Log) {
    this.#address = address
    this.#log = log
  }

  /** Starts the process, unless there is one. @throws Trouble if nobody can listen there: whoever has the port may let it go */
  async look(): Promise<void> {
    if (this.#child) return
    const { host, port } = this.#address
    const child = spawnListener(this.#address)
    const started = await firstWord(child)
    if ('failed' in started) throw new Trouble(`--metrics: cannot listen on ${host} port ${port}: ${started.failed}`)
    this.#log('info', `metrics: listening on ${started.listening}`)
    // Whoever knows the port finds the next process there too.
    this.#address = { host, port: Number(/\d+$/.exec(started.listening)?.[0] ?? port) }
    this.#child = child
    this.#told = ''
    child.on('close', () => {
      this.#child = undefined
      if (!this.#stopped) this.#log('error', 'metrics: the process that listens has ended; another will be started')
    })
  }

  /** Tells a state, unless it is the one that was told last. */
  tell(state: AgentState): void {
    const stdin = this.#child?.stdin
    const line = `${JSON.stringify(state)}\n`
    // A process that does not read is not told more and more.
    if (!stdin?.writable || stdin.writableLength > 0) return
    if (line === this.#told && performance.now() - this.#toldAt < TELL_AGAIN_MS) return
    stdin.write(line)
    this.#told = line
    this.#toldAt = performance.now()
  }

  /** Without CAP_KILL it cannot be killed. It ends when its stdin does. */
  async stop(): Promise<void> {
    this.#stopped = true
    const child = this.#child
    if (!child) return
    const ended = once(child, 'close')
    child.stdin?.end()
    await Promise.race([ended, sleep(1000, undefined, { ref: false })])
  }
}

/** @throws Trouble */
function spawnListener({ host, port }: Address): ChildProcess {
  const limits = limitedBy({ data: ownData() + MEMORY_MIB * 1024 * 1024 })
  try {
    return spawnOurselves(limits, [LISTENER, host, `${port}`], { uid: NOBODY, gid: NOBODY })
  } catch (error) {
    // EINVAL: in a user namespace that does not have that user.
    const isRefused = ['EPERM', 'EINVAL'].includes(String((error as NodeJS.ErrnoException).code))
    throw new Trouble(
      `--metrics: a process of uid ${NOBODY} cannot be started: ${messageOf(error)}${isRefused ? '; add CAP_SETUID and CAP_SETGID' : ''}`,
    )
  }
}

/** What the process says first, or why it says nothing. */
function firstWord(child: ChildProcess): Promise<Started> {
  return new Promise((resolve) => {
    let [line, stderr] = ['', '']
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      line += chunk
      if (line.endsWith('\n')) resolve(startedIn(line))
    })
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      if (stderr.length < 4096) stderr += chunk
    })
    child.stdin?.on('error', () => {})
    child.on('error', (error) => resolve({ failed: messageOf(error) }))
    child.on('close', (status, signal) => resolve({ failed: oneLine(stderr) || `it ended (${signal ?? status})` }))
  })
}

function startedIn(line: string): Started {
  const said: unknown = JSON.parse(line)
  if (isObject(said) && typeof said.listening === 'string') return { listening: said.listening }
  return { failed: advised(isObject(said) ? String(said.failed) : 'no answer') }
}

const ADVICE: readonly (readonly [code: string, advice: string])[] = [
  ['EADDRINUSE', 'another process has that port; end it, or give another port'],
  ['EADDRNOTAVAIL', 'that is no address of this node; give one of its own'],
  ['EACCES', 'only root may listen there; give a port from 1024 on'],
]

function advised(failure: string): string {
  return ADVICE.find(([code]) => failure.includes(code))?.[1] ?? failure
}
