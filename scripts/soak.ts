/**
 * Makes and removes pods by the thousand, and says what is left behind: processes, descriptors, namespaces, files, routes.
 *
 *   make soak [CYCLES=10000] [NAMESPACES=200] [AT_ONCE=16]
 *
 * A cycle is ADD, CHECK and DEL in one pod, with its routes compared after each. The exit status is 1 if a cycle failed or
 * anything is left. Must run in scripts/sandbox.sh, because it mounts overlays on the directories where files may appear.
 */
import { mkdirSync, readlinkSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { removeNamespaces } from '../test/support/netns.ts'
import type { Verb } from '../test/support/runtime.ts'
import { CONFIGURATIONS, type Configuration } from './soak/configurations.ts'
import { die, live } from './soak/cycle.ts'
import { createNode, createPod, removePod, type SoakPod } from './soak/pods.ts'
import { grown, type Report, text } from './soak/report.ts'
import { trend } from './soak/times.ts'
import { otherProcesses, traces, watchFiles, writtenFiles } from './soak/traces.ts'

const CYCLES = wish('CYCLES', 10_000)
const NAMESPACES = Math.min(wish('NAMESPACES', 200), CYCLES)
const AT_ONCE = Math.min(wish('AT_ONCE', 16), NAMESPACES)
/** In one of so many cycles the network namespace is removed while DEL runs. */
const DEATHS = 50
/** After so many failures there is nothing more to learn. */
const ENOUGH = 100
/** Time for the last processes to end. */
const GRACE_MS = 5_000
const CWD = '/run/soak-cwd'

const failures: string[] = []
const times: Record<string, number[]> = { ADD: [], CHECK: [], DEL: [] }
const clock = (verb: Verb, took: number) => void times[verb]?.push(took)
let finished = 0
let deaths = 0
let stopped = false

process.on('exit', endProcesses)
// The first signal ends the cycles and prints the report, the second ends everything.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped) process.exit(130)
    stopped = true
  })
}

try {
  const report = await soak()
  console.log(text(report))
  process.exitCode = report.failures.length + report.leaks.length > 0 ? 1 : 0
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  removeNamespaces()
}

async function soak(): Promise<Report> {
  if (readlinkSync('/proc/self/ns/mnt') === readlinkSync(`/proc/${process.ppid}/ns/mnt`))
    throw new Error('must run in scripts/sandbox.sh; run make soak')
  mkdirSync(CWD)
  process.chdir(CWD) // where a careless program would write
  await watchFiles()

  const started = performance.now()
  const node = await createNode()
  const pods: SoakPod[] = []
  await together(NAMESPACES, async (number) => {
    pods[number] = await createPod(node, number, configurationOf(number))
  })
  const wired = performance.now()
  // Once for each pod, so that the kernel and this process allocate what they keep. After that, nothing may be added.
  const free = [...pods.keys()]
  const next = async (count: number) => {
    const number = free.shift() as number // there are at least as many pods as workers
    await cycle(pods, number, count)
    free.push(number)
  }
  await together(NAMESPACES, next)
  await settle()
  const before = traces()
  await together(CYCLES - NAMESPACES, (i) => next(NAMESPACES + i))
  const ended = performance.now()
  await settle()
  const after = traces()

  const left = [
    ...otherProcesses().map(({ text }) => `a process: ${text}`),
    ...writtenFiles().map((file) => `a file: ${file}`),
  ]
  endProcesses()
  for (const pod of pods) await attempt(`pod ${pod.number}`, () => removePod(pod))
  return {
    cycles: finished,
    namespaces: NAMESPACES,
    atOnce: AT_ONCE,
    deaths,
    seconds: { wiring: (wired - started) / 1000, cycles: (ended - wired) / 1000 },
    trends: Object.entries(times).map(([verb, all]) => ({ verb, ...trend(all) })),
    before,
    after,
    leaks: [...grown(before, after, finished), ...left],
    failures,
  }
}

function configurationOf(number: number): Configuration {
  return CONFIGURATIONS[number % CONFIGURATIONS.length] as Configuration
}

async function cycle(pods: SoakPod[], number: number, count: number): Promise<void> {
  const configuration = configurationOf(number)
  const dies = count % DEATHS === DEATHS - 1
  const renew = async () => {
    const { node } = pods[number] as SoakPod
    pods[number] = await createPod(node, number, configuration)
  }
  const well = await attempt(`cycle ${count}, ${configuration.name}`, async () => {
    const pod = pods[number] as SoakPod
    if (!dies) return live(pod, configuration, clock)
    deaths += 1
    await die(pod, configuration, clock)
    await renew()
  })
  // A failed cycle may leave anything: the next one must not fail because of that.
  if (!well)
    await attempt(`pod ${number} anew`, async () => {
      await removePod(pods[number] as SoakPod)
      await renew()
    })
  finished += 1
  progress()
}

async function attempt(what: string, action: () => Promise<void>): Promise<boolean> {
  try {
    await action()
    return true
  } catch (error) {
    // A signal from the terminal reaches the plugins too. That they fail then does not count.
    if (!stopped) failures.push(`${what}: ${error instanceof Error ? error.message : error}`)
    return false
  }
}

/** `action` for each number below `count`, AT_ONCE at a time. */
async function together(count: number, action: (number: number) => Promise<unknown>): Promise<void> {
  let number = 0
  const worker = async () => {
    while (number < count && !stopped && failures.length < ENOUGH) await action(number++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function settle(): Promise<void> {
  const until = Date.now() + GRACE_MS
  while (otherProcesses().length > 0 && Date.now() < until) await setTimeout(50)
  await setTimeout(100)
}

/** They are in this sandbox, so nobody else will end them. */
function endProcesses(): void {
  for (const { pid } of otherProcesses()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
  }
}

function progress(): void {
  const share = `${finished} of ${CYCLES} cycles, ${failures.length} failed`
  if (process.stderr.isTTY) process.stderr.write(`\r${share}${finished === CYCLES ? '\n' : ''}`)
  else if (finished % Math.ceil(CYCLES / 10) === 0) console.error(`soak: ${share}`)
}

function wish(name: string, otherwise: number): number {
  const value = Number(process.env[name] || otherwise)
  if (Number.isInteger(value) && value > 0) return value
  console.error(`soak: ${name}: must be a number above 0`)
  process.exit(2)
}
