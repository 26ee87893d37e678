import type { Path } from './json.ts'
import { type Placed, type Position, pathOf, pathText } from './position.ts'

/** error: a runtime or the plugin refuses it. warning: it is taken, and does something else than it looks like. */
export type Severity = 'error' | 'warning' | 'note'

/** What is to be said about a file. */
export interface Finding {
  readonly severity: Severity
  /** Absent: about the file as a whole. */
  readonly position?: Position
  /** Key path inside the network configuration; empty for the document itself. */
  readonly path: string
  readonly message: string
  /** It says why the file cannot be read, there and behind. */
  readonly syntax?: true
}

/** Says something of one part of a file. */
export type Say = (severity: Severity, path: Path, message: string, what?: 'value' | 'key') => void

/** Collects what is said of `placed` in `findings`. @param base where it stands in what people know it by */
export function sayer(placed: Placed, findings: Finding[], base: Path = []): Say {
  return (severity, path, message, what) =>
    void findings.push({ severity, position: placed.at(path, what), path: pathText([...base, ...path]), message })
}

/** A message of the plugin, which starts with the key path: `routes[0].gw: …`. `base` is where its configuration stands. */
export function sayProblem(say: Say, problem: string, { value }: Placed, base: Path): void {
  const path = pathOf(problem, value)
  const [, written = '', message = problem] = /^([^ ]*?): (.*)$/s.exec(problem) ?? []
  const known = pathText(path)
  // What is missing has no place of its own, and still belongs into the message.
  const rest = written.startsWith(known) ? written.slice(known.length).replace(/^\./, '') : ''
  say(
    'error',
    [...base, ...path],
    rest === '' ? message : `${rest}: ${message}`,
    /^(?:unknown key|a key of)/.test(message) ? 'key' : 'value',
  )
}

/** Nobody reads more of them, of one file. */
const MOST = 100

/** The findings to print, in their order: errors before warnings before notes, if there are too many; and how many are left out. */
export function telling(findings: readonly Finding[]): {
  readonly told: readonly Finding[]
  readonly left: readonly Finding[]
} {
  if (findings.length <= MOST) return { told: findings, left: [] }
  const bySeverity = ORDER.flatMap((severity) => findings.filter((finding) => finding.severity === severity))
  const told = new Set(bySeverity.slice(0, MOST))
  return { told: findings.filter((one) => told.has(one)), left: findings.filter((one) => !told.has(one)) }
}

const ORDER: readonly Severity[] = ['error', 'warning', 'note']

/** In the order of the file. */
export function inFileOrder(findings: readonly Finding[]): Finding[] {
  const place = ({ position = { line: 0, column: 0 } }: Finding) => position
  return [...findings].sort(
    (a, b) =>
      place(a).line - place(b).line ||
      place(a).column - place(b).column ||
      ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity),
  )
}
