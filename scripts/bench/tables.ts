import { limitsText, MULTUS } from './cgroup.ts'
import { machineText } from './machine.ts'
import type { Report, Row } from './report.ts'
import { LIMITED } from './scenarios.ts'
import type { SlotsRow } from './slots.ts'
import type { Ratio } from './statistics.ts'
import { MILLI_CPU, type StormRow, TAKEN_MIB } from './storms.ts'

/** The report as text for a terminal. */
export function tables(report: Report): string {
  const sections = report.scenarios.map(({ name, rows }) => {
    const title = name === LIMITED ? `ADD, 2 routes, in a cgroup of ${limitsText(MULTUS)}` : name
    const head = [`${title} (n = ${rows[0]?.rounds})`, 'min', 'median', 'p95', '/ node', '/ script', 'CPU', '/ node']
    return table([head, ...rows.map(cells)])
  })
  const memory = report.memory.map(({ contender, anonymous }) => [
    `  ${contender}`,
    `${(anonymous / 1e6).toFixed(1)} MB`,
  ])
  return [
    machineText(report.machine),
    'Milliseconds of wall time; CPU: user + system, of all processes of a call. Ratios ±: median of pairs, 95 % interval.',
    ...sections,
    memory.length === 0
      ? ''
      : table([['ADD, 2 routes: peak of anonymous memory, child processes included', ''], ...memory]),
    survivalTable(report),
    ...stormTables(report),
    slotsTable(report),
    hostileTable(report),
    agentTable(report),
    nodeTable(report),
    budgetTable(report),
    ...report.remarks,
    ...(report.noise === undefined ? [] : [`WARNING: ${report.noise}`]),
  ]
    .filter((section) => section !== '')
    .join('\n\n')
}

function cells({ contender, wall, cpu, cpuToBare, toBare, toPredecessor }: Row): string[] {
  return [
    `  ${contender}`,
    ...[wall.min, wall.median, wall.p95].map((value) => value.toFixed(1)),
    ratioText(toBare),
    ratioText(toPredecessor),
    cpu.toFixed(1),
    cpuToBare?.toFixed(2) ?? '',
  ]
}

function ratioText(ratio: Ratio | undefined): string {
  if (!ratio) return ''
  return `${ratio.median.toFixed(2)} ±${((ratio.high - ratio.low) / 2).toFixed(2)}`
}

function survivalTable({ survival }: Report): string {
  const sizes = [...new Set(survival.map(({ calls }) => calls))]
  const rows = [...new Set(survival.map(({ contender }) => contender))].map((name) => [
    `  ${name}`,
    ...sizes.map((size) => {
      const found = survival.find(({ contender, calls }) => contender === name && calls === size)
      return found ? String(found.succeeded) : ''
    }),
  ])
  if (rows.length === 0) return ''
  const title = `ADDs at once in a cgroup of ${limitsText(MULTUS)}: how many succeed`
  return table([[title, ...sizes.map(String)], ...rows])
}

/** A table for each size and page cache: how many calls succeeded, how fast, how many were killed, and the peak. */
function stormTables({ storms }: Report): string[] {
  const groups = new Map<string, StormRow[]>()
  for (const row of storms) {
    const limits = limitsText({ milliCpu: MILLI_CPU, memoryMiB: row.memoryMiB })
    const title = `At once in ${limits}, ${TAKEN_MIB} MiB of it taken, page cache ${row.pages}`
    groups.set(title, [...(groups.get(title) ?? []), row])
  }
  return [...groups].map(([title, rows]) => {
    const columns = [...new Set(rows.map(({ calls, verb }) => `${calls} ${verb}s`))]
    const names = [...new Set(rows.map(({ contender }) => contender))]
    const cell = (name: string, column: string) => {
      const found = rows.find(({ contender, calls, verb }) => contender === name && `${calls} ${verb}s` === column)
      return found ? stormText(found) : '-'
    }
    return table([
      [title, ...columns],
      ...names.map((name) => [`  ${name}`, ...columns.map((column) => cell(name, column))]),
    ])
  })
}

/** A row for each group, a column for each number of slots. */
function slotsTable({ slots }: Report): string {
  if (slots.length === 0) return ''
  const numbers = [...new Set(slots.map(({ atOnce }) => atOnce))]
  const groups = [...new Set(slots.map(groupOf))]
  const cell = (group: string, atOnce: number) => {
    const found = slots.find((row) => row.atOnce === atOnce && groupOf(row) === group)
    return found ? stormText(found) : '-'
  }
  const head = [`30 ADDs at once, ${TAKEN_MIB} MiB taken, by slots`, ...numbers.map(String)]
  return table([head, ...groups.map((group) => [`  ${group}`, ...numbers.map((atOnce) => cell(group, atOnce))])])
}

const groupOf = (row: SlotsRow) => `${limitsText(row)}, ${row.pages}`

/** A row for each pod, columns for each verb. */
function agentTable({ agent }: Report): string {
  if (agent.length === 0) return ''
  const head = ['agent', 'CPU', 'look', 'agent MiB', 'listener MiB', 'peak MiB', 'set to last pod']
  const rows = agent.map((row) => [
    `  ${row.attachments} attachments, every ${row.intervalS} s`,
    `${row.cpuPercent.toFixed(2)} %`,
    `${row.lookSeconds.toFixed(2)} s`,
    ...[row.agentMiB, row.listenerMiB, row.peakMiB].map((value) => value.toFixed(1)),
    `${row.changeSeconds.toFixed(1)} s`,
  ])
  return table([head, ...rows])
}

function hostileTable({ hostile }: Report): string {
  if (hostile.length === 0) return ''
  const columns = [...new Set(hostile.map(({ verb }) => verb))].flatMap((verb) => [verb, 's', 'CPU', 'MiB'])
  const pods = [...Map.groupBy(hostile, ({ kind, count }) => `  ${kind}: ${count.toLocaleString('en')}`)]
  const cellsOf = ({ outcome, seconds, cpu, anonymousMiB }: Report['hostile'][number]) => [
    outcome,
    seconds.toFixed(2),
    cpu.toFixed(2),
    anonymousMiB.toFixed(0),
  ]
  const title = 'Pods filled by a tenant: seconds, CPU seconds and anonymous memory of the plugin’s own process'
  return table([[title, ...columns], ...pods.map(([pod, rows]) => [pod, ...rows.flatMap(cellsOf)])])
}

function nodeTable({ node }: Report): string {
  const [first] = node
  if (!first) return ''
  const title = `All ${first.attachments.toLocaleString('en')} attachments of a node: time, and memory of all processes`
  const rows = node.map(({ command, differing, seconds, anonymousMiB }) => [
    `  ${command}, ${differing} ${differing === 'all' ? 'differ' : 'differs'}`,
    `${seconds.toFixed(1)} s`,
    `${anonymousMiB.toFixed(0)} MiB`,
  ])
  return table([[title, '', ''], ...rows])
}

function stormText({
  succeeded,
  calls,
  seconds,
  kills,
  peakMiB,
  late,
}: Pick<StormRow, 'succeeded' | 'calls' | 'seconds' | 'kills' | 'peakMiB' | 'late'>): string {
  const killed = kills > 0 ? `${kills} killed, ` : ''
  const time = late ? `over ${seconds.toFixed(0)} s` : `${seconds.toFixed(1)} s`
  const peak = peakMiB === undefined ? '' : `, ${peakMiB.toFixed(0)} MiB`
  return `${succeeded === calls ? 'all' : succeeded}, ${killed}${time}${peak}`
}

function budgetTable({ budgets }: Report): string {
  const rows = budgets.map(({ name, goal, unit, found, verdict }) => [
    `  ${name}`,
    `${found.toFixed(2)} ${unit}`,
    `${goal} ${unit}`,
    verdict,
  ])
  return rows.length === 0 ? '' : table([['Goals', 'found', 'at most', ''], ...rows])
}

/** Aligned columns, the first to the left, all others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}
