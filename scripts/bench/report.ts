import type { AgentRow } from './agent.ts'
import { BARE, CONTROL, GATED, PREDECESSOR, PRODUCT } from './contenders.ts'
import type { HostileRow } from './hostile.ts'
import type { Sample } from './launcher.ts'
import type { Machine } from './machine.ts'
import type { Measured, Survival } from './measure.ts'
import type { NodeRow } from './node.ts'
import { ADD_2, ADD_20, ADD_1000, ADD_CROWD, ADD_RULES, DEL_ALIVE, DEL_GONE, VERSION } from './scenarios.ts'
import type { SlotsRow } from './slots.ts'
import { mean, pairedRatio, type Ratio, type Summary, summary } from './statistics.ts'
import { PLENTY_MIB, type StormRow } from './storms.ts'

export interface Row {
  readonly contender: string
  readonly rounds: number
  /** Milliseconds. */
  readonly wall: Summary
  /** Mean CPU time in milliseconds. */
  readonly cpu: number
  /** Of these, which a busy machine disturbs least. */
  readonly cpuToBare?: number
  readonly toBare?: Ratio
  readonly toPredecessor?: Ratio
}

export interface Budget {
  readonly name: string
  readonly goal: number
  readonly unit: '×' | 'MB' | 'failed'
  readonly found: number
  /** `unclear`: the goal is within the interval of the result. */
  readonly verdict: 'met' | 'missed' | 'unclear'
}

export interface Report {
  readonly machine: Machine
  readonly scenarios: readonly { readonly name: string; readonly rows: readonly Row[] }[]
  /** Bytes. */
  readonly memory: readonly { readonly contender: string; readonly anonymous: number }[]
  readonly survival: readonly Survival[]
  readonly storms: readonly StormRow[]
  readonly slots: readonly SlotsRow[]
  readonly hostile: readonly HostileRow[]
  readonly agent: readonly AgentRow[]
  readonly node: readonly NodeRow[]
  readonly budgets: readonly Budget[]
  /** Why the figures allow no conclusion; undefined if they do. */
  readonly noise?: string
  readonly remarks: readonly string[]
}

/** Bare Node against itself must be 1. If it is further off, or less certain, the machine is too noisy. */
const NOISE = 0.05

export function evaluate(measured: Measured, machine: Machine, remarks: readonly string[]): Report {
  const names = [...new Set(measured.series.map(({ scenario }) => scenario))]
  const scenarios = names.map((name) => ({ name, rows: rowsOf(measured, name) }))
  const noise = noiseOf(scenarios)
  return {
    machine,
    scenarios,
    memory: measured.memory,
    survival: measured.survival,
    storms: measured.storms,
    slots: measured.slots,
    hostile: measured.hostile,
    agent: measured.agent,
    node: measured.node,
    budgets: budgetsOf(measured, scenarios),
    ...(noise === undefined ? {} : { noise }),
    remarks: [...remarks, ...measured.remarks],
  }
}

function rowsOf({ series }: Measured, scenario: string): Row[] {
  const here = series.filter((one) => one.scenario === scenario)
  const of = (name: string) => here.find(({ contender }) => contender === name)?.samples
  const [bare, predecessor] = [of(BARE), of(PREDECESSOR)]
  return here.map(({ contender, samples }) => ({
    contender,
    rounds: samples.length,
    wall: summary(walls(samples)),
    cpu: meanCpu(samples),
    ...(bare && contender !== BARE
      ? { toBare: pairedRatio(walls(samples), walls(bare)), cpuToBare: meanCpu(samples) / meanCpu(bare) }
      : {}),
    ...(predecessor && contender !== PREDECESSOR
      ? { toPredecessor: pairedRatio(walls(samples), walls(predecessor)) }
      : {}),
  }))
}

function walls(samples: readonly Sample[]): number[] {
  return samples.map(({ wall }) => wall)
}

function meanCpu(samples: readonly Sample[]): number {
  return mean(samples.map(({ cpu }) => cpu))
}

type Scenarios = Report['scenarios']

function rowOf(scenarios: Scenarios, scenario: string, contender: string): Row | undefined {
  return scenarios.find(({ name }) => name === scenario)?.rows.find((row) => row.contender === contender)
}

function noiseOf(scenarios: Scenarios): string | undefined {
  for (const scenario of [VERSION, ADD_2]) {
    const control = rowOf(scenarios, scenario, CONTROL)?.toBare
    if (!control) continue
    const { median, low, high } = control
    if (Math.abs(median - 1) <= NOISE && (high - low) / 2 <= NOISE) continue
    return (
      `too noisy to conclude: bare Node against itself is ${median.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}) ` +
      `in "${scenario}", and should be 1 within ${NOISE}`
    )
  }
  return undefined
}

/** The goals that the project has set itself. */
function budgetsOf({ memory, series, storms }: Measured, scenarios: Scenarios): Budget[] {
  const budgets: Budget[] = []
  const judge = (name: string, goal: number, unit: Budget['unit'], ratio: Ratio | undefined) => {
    if (!ratio) return
    const verdict = ratio.high <= goal ? 'met' : ratio.low > goal ? 'missed' : 'unclear'
    budgets.push({ name, goal, unit, found: ratio.median, verdict })
  }
  const ours = (scenario: string) => rowOf(scenarios, scenario, PRODUCT)
  const samplesOf = (scenario: string, contender: string) =>
    series.find((one) => one.scenario === scenario && one.contender === contender)?.samples
  const between = (scenario: string, reference: string, contender = PRODUCT): Ratio | undefined => {
    const [samples, references] = [samplesOf(scenario, contender), samplesOf(reference, PRODUCT)]
    return samples && references && pairedRatio(walls(samples), walls(references))
  }
  judge('ADD / bare Node', 1.3, '×', ours(ADD_2)?.toBare)
  judge('ADD / script', 0.6, '×', ours(ADD_2)?.toPredecessor)
  judge('DEL, living pod / bare Node', 1.05, '×', ours(DEL_ALIVE)?.toBare)
  judge('DEL, netns gone / bare Node', 1.05, '×', ours(DEL_GONE)?.toBare)
  judge('VERSION / bare Node', 1.05, '×', ours(VERSION)?.toBare)
  judge('20 ADDs at once / script', 0.65, '×', ours(ADD_20)?.toPredecessor)
  judge('gated ADD / ungated', 1.1, '×', between(ADD_2, ADD_2, GATED))
  judge('ADD of 1,000 routes / of 2', 3, '×', between(ADD_1000, ADD_2))
  judge('ADD with sourceRouting, IPv4 and IPv6 / without', 1.25, '×', between(ADD_RULES, ADD_2))
  judge('ADD with 10,000 routes in the pod / with none', 2, '×', between(ADD_CROWD, ADD_2))
  const anonymous = memory.find(({ contender }) => contender === PRODUCT)
  if (anonymous) {
    const found = anonymous.anonymous / 1e6
    budgets.push({
      name: 'anonymous memory of ADD',
      goal: 11,
      unit: 'MB',
      found,
      verdict: found <= 11 ? 'met' : 'missed',
    })
  }
  return [...budgets, ...stormBudgets(storms)]
}

/** All calls succeed, and a cold page cache and a small cgroup make them little slower. */
function stormBudgets(storms: readonly StormRow[]): Budget[] {
  const find = (contender: string, memoryMiB: number, pages: StormRow['pages'], calls: number) =>
    storms.find(
      (row) =>
        row.verb === 'ADD' &&
        row.contender === contender &&
        row.memoryMiB === memoryMiB &&
        row.pages === pages &&
        row.calls === calls,
    )
  const inTime = (calls: number, memoryMiB: number): Budget[] => {
    const [ours, plenty] = [find(GATED, memoryMiB, 'cold', calls), find(PRODUCT, PLENTY_MIB, 'warm', calls)]
    if (!ours || !plenty) return []
    const found = ours.succeeded === calls ? ours.seconds / plenty.seconds : Number.POSITIVE_INFINITY
    const name = `${calls} gated ADDs at once, cold, ${memoryMiB} MiB / ungated, warm, in plenty`
    return [{ name, goal: 1.3, unit: '×', found, verdict: found <= 1.3 ? 'met' : 'missed' }]
  }
  const atAll = (calls: number, memoryMiB: number): Budget[] => {
    const ours = find(GATED, memoryMiB, 'cold', calls)
    if (!ours) return []
    const found = calls - ours.succeeded
    const name = `${calls} gated ADDs at once, cold, ${memoryMiB} MiB`
    return [{ name, goal: 0, unit: 'failed', found, verdict: found === 0 ? 'met' : 'missed' }]
  }
  return [...inTime(30, 200), ...inTime(100, 200), ...atAll(30, 128)]
}
