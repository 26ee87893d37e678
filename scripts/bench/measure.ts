/**
 * Makes all measurements, in a sandbox (see bench.ts), so that its namespaces end with it.
 *
 *   node measure.ts JOB RESULT       two files of JSON
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { removeNamespaces } from '../../test/support/netns.ts'
import { type AgentRow, measureAgent } from './agent.ts'
import { type Cgroup, createCgroup, MULTUS } from './cgroup.ts'
import { CONTROL, type Contender, PRODUCT } from './contenders.ts'
import { type HostileRow, measureHostile } from './hostile.ts'
import { Launcher, type Sample } from './launcher.ts'
import { peakAnonymous } from './memory.ts'
import { measureNode, type NodeRow } from './node.ts'
import { dropPageCache, warm } from './page-cache.ts'
import { createPods, type Pods } from './pods.ts'
import { ADD_2, configuration, destinations, LIMITED, type Scenario, scenarios, VERSION } from './scenarios.ts'
import { measureSlots, type SlotsRow } from './slots.ts'
import { measureStorms, type StormRow } from './storms.ts'

export interface Job {
  readonly contenders: readonly Contender[]
  readonly quick: boolean
  /** Nothing but these. */
  readonly only?: 'storms' | 'slots' | 'hostile' | 'node' | 'agent'
}

/** The samples of one contender in one scenario, one for each round. */
export interface Series {
  readonly scenario: string
  readonly contender: string
  readonly samples: readonly Sample[]
}

/** How many of `calls` ADDs at once succeed within the limits in time, in the worst of several tries. */
export interface Survival {
  readonly contender: string
  readonly calls: number
  readonly succeeded: number
}

export interface Measured {
  readonly series: readonly Series[]
  /** Bytes; of the main job. */
  readonly memory: readonly { readonly contender: string; readonly anonymous: number }[]
  readonly survival: readonly Survival[]
  readonly storms: readonly StormRow[]
  readonly slots: readonly SlotsRow[]
  readonly hostile: readonly HostileRow[]
  readonly node: readonly NodeRow[]
  readonly agent: readonly AgentRow[]
  /** What could not be measured here, and why. */
  readonly remarks: readonly string[]
}

/** The time limit of a runtime: kubelet gives a pod two minutes, and other plugins need some of them. */
const PATIENCE_S = 60
const AT_ONCE = { quick: [1, 3], full: [1, 2, 3, 4, 5, 6, 8, 12, 20] } as const

const NO_CALLS = { series: [], memory: [], survival: [] } as const
const NO_STORMS = { storms: [], slots: [] } as const

const [jobFile = '', resultFile = ''] = process.argv.slice(2)
const scratch = mkdtempSync('/run/bench-')
let limits: Cgroup | undefined
process.on('exit', () => {
  limits?.remove()
  removeNamespaces()
  rmSync(scratch, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))

try {
  const job = JSON.parse(readFileSync(jobFile, 'utf8')) as Job
  writeFileSync(resultFile, JSON.stringify(await measure(job)))
  process.exit(0)
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`)
  process.exit(1)
}

async function measure({ contenders, quick, only }: Job): Promise<Measured> {
  const remarks: string[] = []
  const remark = (text: string) => remarks.push(text)
  const pods = only === 'hostile' || only === 'node' || only === 'agent' ? undefined : await createPods(100)
  await warm(filesOf(contenders))
  const calls = only || !pods ? NO_CALLS : await measureCalls(contenders, pods, quick, remark)
  const product = contenders.find(({ name }) => name === PRODUCT)
  const hostile = product && (!only || only === 'hostile') ? await measureHostile(product, quick) : []
  const node = product && (!only || only === 'node') ? await measureNode(product, scratch, quick) : []
  const agent = product && only === 'agent' ? await measureAgent(product, quick) : []
  let storms: Pick<Measured, 'storms' | 'slots'> = NO_STORMS
  try {
    if (only === 'slots' && product && pods)
      storms = { ...NO_STORMS, slots: await measureSlots(product, pods, scratch) }
    else if (pods) storms = { ...NO_STORMS, storms: await measureStorms(contenders, pods, scratch, quick) }
  } catch (error) {
    remark(`Storms: not measured: ${(error as Error).message}`)
  }
  return { ...calls, ...storms, hostile, node, agent, remarks }
}

function filesOf(contenders: readonly Contender[]): string[] {
  return contenders.flatMap(({ command, files = command }) => files)
}

async function measureCalls(
  contenders: readonly Contender[],
  pods: Pods,
  quick: boolean,
  remark: (text: string) => void,
): Promise<Pick<Measured, 'series' | 'memory' | 'survival'>> {
  const series: Series[] = []
  const crowded = await createPods(1, 10_000)
  const small = scenarios(quick).find(({ name }) => name === ADD_2)
  if (!small) throw new Error(`${ADD_2}: not a scenario`)
  const memory = await measureMemory(contenders, small, pods)

  using launcher = new Launcher()
  for (const scenario of scenarios(quick)) {
    console.error(`bench: ${scenario.name}`)
    try {
      if (scenario.cold) await dropPageCache()
      const where = scenario.bystanders > 0 ? crowded : pods
      series.push(...(await compare(scenario, contenders, launcher, where)))
    } catch (error) {
      if (!scenario.cold) throw error
      remark(`${scenario.name}: not measured: ${(error as Error).message}`)
    }
  }

  const survival: Survival[] = []
  try {
    limits = createCgroup(MULTUS)
    console.error(`bench: ${LIMITED}`)
    // In the page cache before the first call, as on a node where they have been installed: else the cgroup is charged for them.
    await warm(filesOf(contenders))
    using limited = new Launcher(limits.procs)
    const scenario = { ...small, name: LIMITED, rounds: quick ? 3 : 20 }
    series.push(...(await compare(scenario, contenders, limited, pods)))
    survival.push(...(await survive(small, contenders, { launcher: limited, cgroup: limits }, pods, quick)))
  } catch (error) {
    remark(`${LIMITED}: not measured: ${(error as Error).message}`)
  }
  return { series, memory, survival }
}

/** Rounds of one call of each contender. Each round starts with another one, so that changes over time affect all alike. */
async function compare(
  scenario: Scenario,
  contenders: readonly Contender[],
  launcher: Launcher,
  pods: Pods,
): Promise<Series[]> {
  const routes = destinations(scenario.routes)
  const taking = contenders
    .filter((contender) => takesPart(contender, scenario))
    .map((contender) => {
      const input = path.join(scratch, `${contender.dialect}.json`)
      writeFileSync(input, configuration(scenario, contender))
      return { contender, input, samples: [] as Sample[] }
    })
  const { verb, pod } = scenario
  const call = async (
    { contender: { command }, input }: (typeof taking)[number],
    calls = scenario.calls,
  ): Promise<Sample> => {
    if (pod !== 'gone') await pods.reset(calls, pod, routes)
    if (scenario.cold) await dropPageCache()
    return launcher.run({ calls, verb, netns: pod === 'gone' ? `${pods.path}-gone-` : pods.path, input, command })
  }
  // The first call of each only checks that it does its job.
  for (const one of taking) {
    const { failed } = await call(one, 1)
    const right = failed === (scenario.wrong && one.contender.plugin ? 1 : 0)
    const done = verb !== 'ADD' || scenario.wrong || !one.contender.plugin || (await pods.isDone(routes))
    if (!right || !done) throw new Error(`${one.contender.name}: did not do its job in "${scenario.name}"`)
  }
  for (let round = 0; round < scenario.rounds; round += 1) {
    const first = round % taking.length
    for (const one of [...taking.slice(first), ...taking.slice(0, first)]) one.samples.push(await call(one))
  }
  return taking.map(({ contender, samples }) => ({ scenario: scenario.name, contender: contender.name, samples }))
}

function takesPart({ name, verbs, dialect }: Contender, scenario: Scenario): boolean {
  if (name === CONTROL) return [ADD_2, VERSION].includes(scenario.name)
  if (!verbs.includes(scenario.verb)) return false
  // A contender that does not read our keys cannot refuse a wrong one, or follow another.
  return !(scenario.wrong || scenario.sourceRouting) || (dialect === 'x-calico-route' && verbs.includes('CHECK'))
}

async function measureMemory(
  contenders: readonly Contender[],
  scenario: Scenario,
  pods: Pods,
): Promise<{ contender: string; anonymous: number }[]> {
  const env = (netns: string) => ({
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: scenario.verb,
    CNI_CONTAINERID: 'c0ffee0123456789',
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
  })
  const found: { contender: string; anonymous: number }[] = []
  for (const contender of contenders) {
    if (contender.name === CONTROL) continue
    let anonymous = 0
    for (let i = 0; i < 5; i += 1) {
      await pods.reset(1, 'fresh', [])
      const input = configuration(scenario, contender)
      anonymous = Math.max(anonymous, await peakAnonymous(contender.command, env(`${pods.path}0`), input))
    }
    found.push({ contender: contender.name, anonymous })
  }
  return found
}

/** For each contender, more and more calls at once, until one fails. */
async function survive(
  scenario: Scenario,
  contenders: readonly Contender[],
  { launcher, cgroup }: { readonly launcher: Launcher; readonly cgroup: Cgroup },
  pods: Pods,
  quick: boolean,
): Promise<Survival[]> {
  const found: Survival[] = []
  for (const contender of contenders.filter(({ plugin }) => plugin)) {
    const { name, dialect, command } = contender
    const input = path.join(scratch, `${dialect}.json`)
    writeFileSync(input, configuration(scenario, contender))
    for (const calls of AT_ONCE[quick ? 'quick' : 'full']) {
      console.error(`bench: ${name}: ${calls} at once inside the limits`)
      let succeeded = calls
      for (let tries = quick ? 1 : 3; tries > 0 && succeeded === calls; tries -= 1) {
        await pods.reset(calls, 'fresh', [])
        const timer = setTimeout(cgroup.kill, PATIENCE_S * 1000)
        const { failed } = await launcher.run({ calls, verb: 'ADD', netns: pods.path, input, command })
        clearTimeout(timer)
        succeeded = calls - failed
      }
      found.push({ contender: name, calls, succeeded })
      if (succeeded < calls) break
    }
  }
  return found
}
