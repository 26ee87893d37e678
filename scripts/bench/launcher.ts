import { type ChildProcessByStdio, spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

const SCRIPT = path.join(import.meta.dirname, 'launcher.sh')

/** Which call to make; see launcher.sh. */
export interface Call {
  readonly calls: number
  readonly verb: string
  /** The path of a namespace without its number. */
  readonly netns: string
  readonly input: string
  readonly command: readonly string[]
}

export interface Sample {
  /** Milliseconds until all calls had ended. */
  readonly wall: number
  /** Milliseconds of CPU time, user and system, of the whole process tree. */
  readonly cpu: number
  readonly failed: number
}

/** The process that makes the calls. It is small, and its environment has only what a runtime sets. */
export class Launcher {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  #cpu = 0

  /** @param cgroups the `cgroup.procs` files of the groups that every call is to join */
  constructor(cgroups: readonly string[] = []) {
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_CONTAINERID: 'c0ffee0123456789',
      CNI_IFNAME: 'eth0',
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=tenant;K8S_POD_NAME=testvm',
      CNI_PATH: '/opt/cni/bin',
      BENCH_CGROUPS: cgroups.join(' '),
    }
    this.#process = spawn('bash', [SCRIPT], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  async run({ calls, verb, netns, input, command }: Call): Promise<Sample> {
    this.#process.stdin.write(`${[calls, verb, netns, input, ...command].join(' ')}\n`)
    const [wall = Number.NaN, failed = 0] = (await this.#line()).split(' ').map(Number)
    await this.#line() // what the shell itself has used
    const total = (await this.#line()).split(' ').reduce((sum, time) => sum + milliseconds(time), 0)
    const cpu = total - this.#cpu
    this.#cpu = total
    return { wall: wall / 1000, cpu, failed }
  }

  [Symbol.dispose](): void {
    this.#process.stdin.end()
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('launcher.sh has ended')
    return value
  }
}

/** `1m2.345s` */
function milliseconds(time: string): number {
  const [, minutes, seconds] = /^(\d+)m(\d+[.,]\d+)s$/.exec(time) ?? []
  if (minutes === undefined || seconds === undefined)
    throw new Error(`launcher.sh: unexpected time "${time}" from the builtin times`)
  return Number(minutes) * 60_000 + Math.round(Number(seconds.replace(',', '.')) * 1000)
}
