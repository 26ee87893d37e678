import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { netnsPath, removeNamespace } from '../../test/support/netns.ts'
import type { Contender } from './contenders.ts'
import { fill, HOSTILE_KINDS } from './hostile-pods.ts'
import { createPods } from './pods.ts'
import { configuration, ONE } from './scenarios.ts'

const VERBS = ['ADD', 'CHECK', 'DEL'] as const

/** One call in a pod that a tenant has filled. */
export interface HostileRow {
  readonly kind: string
  readonly count: number
  readonly verb: (typeof VERBS)[number]
  readonly seconds: number
  /** Seconds of CPU time of the plugin's own process, without nsenter and ip. */
  readonly cpu: number
  /** Peak of anonymous memory of the plugin's own process, in MiB. */
  readonly anonymousMiB: number
  /** `ok`, `ok, warns`, or the code of the error. */
  readonly outcome: string
}

/** Makes each pod, calls the plugin three times in it, and removes it. */
export async function measureHostile({ command, dialect }: Contender, quick: boolean): Promise<HostileRow[]> {
  const rows: HostileRow[] = []
  for (const kind of [undefined, ...HOSTILE_KINDS]) {
    for (const count of kind?.sizes[quick ? 'quick' : 'full'] ?? [0]) {
      const name = kind?.name ?? 'nothing of others'
      console.error(`bench: a pod with ${count} ${name}`)
      const pods = await createPods(1)
      if (kind) await fill(pods.first, kind, count)
      let input = configuration(ONE, { dialect })
      for (const verb of VERBS) {
        const { stdout, ...measured } = await measure(command, verb, pods.first, input)
        rows.push({ kind: name, count, verb, ...measured })
        if (verb === 'ADD' && measured.outcome.startsWith('ok'))
          input = JSON.stringify({ ...JSON.parse(input), prevResult: JSON.parse(stdout) })
      }
      removeNamespace(pods.first)
    }
  }
  return rows
}

type Measurement = Pick<HostileRow, 'seconds' | 'cpu' | 'anonymousMiB' | 'outcome'> & { readonly stdout: string }

async function measure(
  [file = '', ...args]: readonly string[],
  verb: string,
  netns: string,
  input: string,
): Promise<Measurement> {
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'c0ffee0123456789',
    CNI_NETNS: netnsPath(netns),
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
  }
  const start = performance.now()
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  let [stdout, stderr, seconds] = ['', '', 0]
  child.stdout.on('data', (text) => {
    stdout += text
  })
  child.stderr.on('data', (text) => {
    stderr += text
  })
  child.on('exit', () => {
    seconds = (performance.now() - start) / 1000
  })
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  child.on('error', reject)
  child.on('close', () => resolve())
  child.stdin.end(input)
  const usage = await watch(child.pid ?? 0, () => seconds > 0)
  await closed
  return { ...usage, seconds, stdout, outcome: outcomeOf(child.exitCode, stdout, stderr) }
}

function outcomeOf(exitCode: number | null, stdout: string, stderr: string): string {
  if (exitCode === 0) return stderr.includes('"level":"warn"') ? 'ok, warns' : 'ok'
  return String((JSON.parse(stdout) as { code: number }).code)
}

const EVERY_MS = 2

/** Polls a process until it ends: its last CPU time is almost the total. */
async function watch(pid: number, hasEnded: () => boolean): Promise<Pick<HostileRow, 'cpu' | 'anonymousMiB'>> {
  let [cpu, anonymous] = [0, 0]
  while (!hasEnded()) {
    cpu = Math.max(cpu, cpuOf(pid))
    anonymous = Math.max(anonymous, anonymousOf(pid))
    await sleep(EVERY_MS)
  }
  return { cpu, anonymousMiB: anonymous / 1024 }
}

/** Seconds, of all threads. @see https://docs.kernel.org/scheduler/sched-stats.html */
function cpuOf(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const times = threads.map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]))
    return times.reduce((sum, time) => sum + time, 0) / 1e9
  } catch {
    return 0 // It has ended.
  }
}

/** KiB. */
function anonymousOf(pid: number): number {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0 // It has ended.
  }
}
