import { printable } from '../paint.ts'
import { CODES, type FindingCode, type Severity } from './codes.ts'
import type { Path } from './json.ts'
import { type Placed, type Position, pathOf, pathText } from './position.ts'

/** One thing to say about a file. */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** Absent if it is about the file as a whole. */
  readonly position?: Position
  /** Key path inside the network configuration; empty for the document itself. */
  readonly path: string
  readonly message: string
  /** It says why the file cannot be read from there on. */
  readonly syntax?: true
}

/** Reports a finding about one part of a file. */
export type Say = (code: FindingCode, path: Path, message: string, what?: 'value' | 'key') => void

/** Collects findings about `placed` in `findings`. @param base its path in the configuration that the messages name */
export function sayer(placed: Placed, findings: Finding[], base: Path = []): Say {
  return (code, path, message, what) =>
    void findings.push(finding(code, message, { position: placed.at(path, what), path: pathText([...base, ...path]) }))
}

/** @param where nothing: it is about the document, or the file as a whole */
export function finding(
  code: FindingCode,
  message: string,
  where: Partial<Pick<Finding, 'position' | 'path' | 'syntax'>> = {},
): Finding {
  return { code, severity: CODES[code].severity, path: '', message, ...where }
}

/** A message of the plugin, which starts with the key path: `routes[0].gw: …`. `base` is the path of its configuration. */
export function sayProblem(say: Say, problem: string, value: unknown, base: Path): void {
  const { path, says, what } = problemIn(value, problem)
  say('XCR001', [...base, ...path], says, what)
}

/** What a message of the plugin about `value` says, and of which part. */
export function problemIn(
  value: unknown,
  problem: string,
): { readonly path: Path; readonly says: string; readonly what: 'value' | 'key' } {
  const path = pathOf(problem, value)
  const [, written = '', message = problem] = /^([^ ]*?): (.*)$/s.exec(problem) ?? []
  const known = pathText(path)
  // A missing key has no position of its own, but the message must still name it.
  const rest = written.startsWith(known) ? written.slice(known.length).replace(/^\./, '') : ''
  return {
    path,
    says: rest === '' ? message : `${rest}: ${message}`,
    what: /^(?:unknown key|a key of)/.test(message) ? 'key' : 'value',
  }
}

/** How many findings of one file are printed. */
const MAX_FINDINGS = 100

/** Which findings to print, in their order, and which to leave out: notes first, then warnings. */
export function shortened(findings: readonly Finding[]): {
  readonly told: readonly Finding[]
  readonly left: readonly Finding[]
} {
  if (findings.length <= MAX_FINDINGS) return { told: findings, left: [] }
  const bySeverity = ORDER.flatMap((severity) => findings.filter((finding) => finding.severity === severity))
  const told = new Set(bySeverity.slice(0, MAX_FINDINGS))
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

/** What a finding says, with the path that it is about, on one line without control characters. */
export function saidBy({ path, message }: Finding): string {
  return printable(path === '' ? short(message) : `${short(path)}: ${short(message)}`)
}

/** A message that quotes a file may be as long as the file. */
export function short(message: string): string {
  return message.length > MAX_LENGTH ? `${message.slice(0, MAX_LENGTH - 3)}...` : message
}

const MAX_LENGTH = 1_000
