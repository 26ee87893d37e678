import type { Finding } from './finding.ts'
import { type Position, positionsIn } from './position.ts'

/** Where the first action of a template stands, `{{ … }}`; undefined if there is none. In JSON and YAML `{{` means nothing by itself. */
export function templateIn(text: string): Position | undefined {
  const start = text.indexOf('{{')
  return start >= 0 && text.includes('}}', start) ? positionsIn(text)(start) : undefined
}

/**
 * What is wrong with a file, with one line in the place of all that comes of its being a template: what cannot be read from
 * the first action on, and values that are actions.
 */
export function withoutTemplate(findings: readonly Finding[], template: Position | undefined): readonly Finding[] {
  if (!template) return findings
  // Asked twice, it is still one line.
  const others = findings.filter((finding) => !isOfTemplate(finding, template))
  if (others.length === findings.length) return findings
  return [...others, { severity: 'error', position: template, path: '', message: TEMPLATE }]
}

function isOfTemplate({ severity, position, message, syntax }: Finding, template: Position): boolean {
  if (severity !== 'error') return false
  if (message === TEMPLATE) return true
  return syntax === true && position !== undefined ? !isBefore(position, template) : message.includes('{{')
}

function isBefore(a: Position, b: Position): boolean {
  return a.line < b.line || (a.line === b.line && a.column < b.column)
}

const TEMPLATE =
  'a Helm or Go template, which nobody can check before it is rendered; write: helm template CHART | x-calico-route validate -'
