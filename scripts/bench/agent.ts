import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { cacheEntry } from '../../test/cli/result-cache.ts'
import type { Contender } from './contenders.ts'
import { createPods } from './pods.ts'

const ATTACHMENTS = 200
const INTERVAL_S = 60
/** Whole intervals, so that each has the same number of looks. */
const INTERVALS = { quick: 1, full: 5 } as const

/** What an agent takes that has nothing to do but look at so many attachments. */
export interface AgentRow {
  readonly attachments: number
  readonly intervalS: number
  /** Of all its processes, by processor. */
  readonly cpuPercent: number
  /** Anonymous memory in MiB: of the agent, of the process that listens, and the peak of all its processes together. */
  readonly agentMiB: number
  readonly listenerMiB: number
  readonly peakMiB: number
  readonly lookSeconds: number
  /** From the change of a set to the last of the pods, all of which name it. */
  readonly changeSeconds: number
}

/** Measures an agent beside pods that all name one set. */
export async function measureAgent({ command: [file = ''] }: Contender, quick: boolean): Promise<AgentRow[]> {
  const folder = mkdtempSync('/run/bench-agent-')
  for (const name of ['bin', 'cache', 'from', 'to']) mkdirSync(`${folder}/${name}`)
  const pods = await createPods(ATTACHMENTS)
  writeFileSync(`${folder}/from/underlay`, '10.128.0.0/24\n')
  await pods.reset(ATTACHMENTS, 'done', ['10.128.0.0/24'])
  for (let i = 0; i < ATTACHMENTS; i += 1)
    writeFileSync(`${folder}/cache/n-${i}-eth0`, entryOf(i, `${pods.path}${i}`, `${folder}/to`))
  const words = ['--to', `${folder}/bin`, '--cache', `${folder}/cache`, '--interval', `${INTERVAL_S}`]
  const sets = ['--sets-from', `${folder}/from`, '--sets-to', `${folder}/to`, '--metrics', '0']
  const agent = spawn(file, ['agent', ...words, ...sets], { stdio: ['ignore', 'pipe', 'inherit'] })
  let log = ''
  agent.stdout.setEncoding('utf8').on('data', (text) => {
    log += text
  })
  try {
    const pid = agent.pid ?? 0
    // Ready, and every pod is known to follow the set.
    await until(() => log.includes('"ready"'), 60)
    await sleep(20_000)
    const idle = await watch(pid, INTERVAL_S * INTERVALS[quick ? 'quick' : 'full'])
    const lookSeconds = await lookOf(log)
    const started = performance.now()
    writeFileSync(`${folder}/from/underlay`, '10.128.0.0/24\n10.129.0.0/24\n')
    await until(() => log.split('"pod repaired"').length > ATTACHMENTS, 120)
    const changeSeconds = (performance.now() - started) / 1000
    return [{ attachments: ATTACHMENTS, intervalS: INTERVAL_S, ...idle, lookSeconds, changeSeconds }]
  } finally {
    agent.kill('SIGTERM')
    await new Promise((resolve) => agent.once('close', resolve))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The entry of a pod whose NIC Calico has made, with the one route set. */
function entryOf(index: number, netns: string, setsDir: string): string {
  const list = {
    cniVersion: '1.0.0',
    name: 'n',
    plugins: [
      { type: 'calico' },
      { type: 'x-calico-route', setsDir, defaultRoute: 'keep', routes: [{ set: 'underlay' }] },
    ],
  }
  const result = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0', sandbox: netns }],
    ips: [{ address: '10.199.3.153/32', interface: 0 }],
    routes: [{ dst: '10.128.0.0/24', gw: '169.254.1.1' }],
  }
  return cacheEntry(`pod${index}`, netns, result, { config: Buffer.from(JSON.stringify(list)).toString('base64') })
}

async function watch(pid: number, seconds: number) {
  const before = cpuOf(pid)
  let peak = 0
  const until = performance.now() + seconds * 1000
  while (performance.now() < until) {
    peak = Math.max(
      peak,
      treeOf(pid).reduce((sum, one) => sum + anonymousOf(one), 0),
    )
    await sleep(20)
  }
  const listener = treeOf(pid).find((one) => textOf(`/proc/${one}/cmdline`).includes('--listener')) ?? 0
  return {
    cpuPercent: ((cpuOf(pid) - before) / seconds) * 100,
    agentMiB: anonymousOf(pid),
    listenerMiB: anonymousOf(listener),
    peakMiB: peak,
  }
}

async function lookOf(log: string): Promise<number> {
  const [, address = ''] = /listening on ([^"]+)"/.exec(log) ?? []
  const text = await (await fetch(`http://${address}/metrics`)).text()
  return Number(/^x_calico_route_last_look_duration_seconds (\S+)$/m.exec(text)?.[1])
}

async function until(isTrue: () => boolean, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!isTrue()) {
    if (performance.now() > end) throw new Error('the agent did not come to its work in time')
    await sleep(50)
  }
}

function treeOf(pid: number): number[] {
  const children = textOf(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
  return [pid, ...children.flatMap(treeOf)]
}

const anonymousOf = (pid: number) =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0) / 1024

const HERTZ = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Seconds, of the process, of the children it has waited for, and of those it has. @see proc_pid_stat(5) */
function cpuOf(pid: number): number {
  const ticks = treeOf(pid).map((one) => {
    const fields = textOf(`/proc/${one}/stat`).split(') ')[1]?.split(' ') ?? []
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  })
  return ticks.reduce((sum, one) => sum + one, 0) / HERTZ
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // It has ended.
  }
}
