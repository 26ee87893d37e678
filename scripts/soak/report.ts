import { styleText } from 'node:util'
import type { Trend } from './times.ts'
import type { Counts, Traces } from './traces.ts'

export interface Report {
  readonly cycles: number
  readonly namespaces: number
  readonly atOnce: number
  /** Cycles in which the namespace went while DEL ran. */
  readonly deaths: number
  readonly seconds: { readonly wiring: number; readonly cycles: number }
  readonly trends: readonly (Trend & { readonly verb: string })[]
  readonly before: Traces
  readonly after: Traces
  readonly leaks: readonly string[]
  readonly failures: readonly string[]
}

/** What others on the machine may have made meanwhile. */
const NOISE = 2_000
/** More than this of a kernel object for each cycle is ours. */
const SHARE = 0.5
const SHOWN = 20

/** What has grown by more than is allowed. */
export function grown(before: Traces, after: Traces, cycles: number): string[] {
  const more = (now: Counts, then: Counts, allowed: number) =>
    Object.entries(now).flatMap(([name, count]) => {
      const growth = count - (then[name] ?? 0)
      return growth > allowed ? [`${name}: ${growth} more than before`] : []
    })
  return [...more(after.own, before.own, 0), ...more(after.machine, before.machine, Math.max(NOISE, cycles * SHARE))]
}

export function text(report: Report): string {
  const { cycles, namespaces, atOnce, deaths, seconds, before, after } = report
  const ms = (value: number) => value.toFixed(1)
  const times = report.trends.map(({ verb, calls, first, last, rise }) => [
    `  ${verb}`,
    String(calls),
    ...[first.median, first.p95, last.median, last.p95].map(ms),
    `${rise < 0 ? '' : '+'}${(100 * rise).toFixed(1)} %`,
  ])
  const counts = (now: Counts, then: Counts) =>
    Object.entries(now).map(([name, count]) => [`  ${name}`, String(then[name] ?? 0), String(count)])
  return [
    `${cycles} cycles in ${seconds.cycles.toFixed(0)} s, ${(cycles / seconds.cycles).toFixed(1)} a second, ${atOnce} at once`,
    `${namespaces} pods, made in ${seconds.wiring.toFixed(0)} s; ${deaths} removed while DEL ran`,
    '',
    table([['Milliseconds a call', 'calls', 'first tenth', 'p95', 'last tenth', 'p95', 'rise'], ...times]),
    '',
    table([['Of this sandbox', 'before', 'after'], ...counts(after.own, before.own)]),
    '',
    table([['Of the whole machine', 'before', 'after'], ...counts(after.machine, before.machine)]),
    '',
    ...list('failed', report.failures),
    ...list('left behind', report.leaks),
  ].join('\n')
}

function list(what: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [styleText('green', `Nothing ${what}.`)]
  const more = lines.length > SHOWN ? [`  and ${lines.length - SHOWN} more`] : []
  return [styleText('red', `${lines.length} ${what}:`), ...lines.slice(0, SHOWN).map((line) => `  ${line}`), ...more]
}

/** Aligned columns, the first to the left, all others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(width(i)) : cell.padStart(width(i)))).join('  '))
    .join('\n')
}
