/**
 * Lets pods live and die by the thousand, and says what is left behind: processes, descriptors, namespaces, files, routes.
 *
 *   make soak [CYCLES=10000] [NAMESPACES=200] [AT_ONCE=16]
 *
 * A cycle is ADD, CHECK, DEL in one pod, each with its routes compared. The exit status is 1 if a cycle failed or anything
 * is left. Must run in scripts/sandbox.sh: it mounts layers over the directories in which files may appear.
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
/** In one of so many cycles the namespace goes while DEL runs. */
const DEATHS = 50
/** With so many failures there is nothing more to learn. */
const ENOUGH = 100
/** What was started last may still be ending. */
const GRACE_MS = 5_000
const CWD = '/run/soak-cwd'

const failures: string[] = []
const times: Record<string, number[]> = { ADD: [], CHECK: [], DEL: [] }
const clock = (verb: Verb, took: number) => void times[verb]?.push(took)
let finished = 0
let deaths = 0
let stopped = false

process.on('exit', endProcesses)
// The first one ends the cycles and has the report printed, the second one ends everything.
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
    throw new Error('must be started by scripts/sandbox.sh, as make soak does')
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
  // Each pod once, so that the kernel and the caller have what they keep for good. The rest must add nothing.
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
  // Nobody knows what a failed cycle has left: the next one shall not fail of that.
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
    // A terminal's signal reaches the plugins too: what they make of it is no failure.
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

/** They are of this sandbox: nobody else will end them. */
function endProcesses(): void {
  for (const { pid } of otherProcesses()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended meanwhile.
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
