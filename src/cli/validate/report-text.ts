import { listed } from '../../errors.ts'
import { nameOf } from '../files.ts'
import { count, type Paint, printable } from '../paint.ts'
import type { Severity } from './codes.ts'
import { hasDelegates } from './delegates.ts'
import type { Report } from './examine.ts'
import { type Finding, saidBy, shortened } from './finding.ts'
import { entriesOf, MAX_TYPES, typesOf } from './plugins.ts'

/** How many chains the last line of a file names. */
const MAX_CHAINS = 20

const COLORS = { error: 'red', warning: 'yellow', note: 'cyan' } as const

/** What people read of a file: a line for each finding, and one for the file. */
export function reportText({ file, contents, findings, silenced, pods }: Report, paint: Paint): string {
  const name = printable(nameOf(file))
  const { told, left } = shortened(findings)
  const lines = told.map((one) => {
    const { code, severity, position } = one
    const where = position ? `${name}:${position.line}:${position.column}` : name
    return `${paint('bold', where)}: ${paint(COLORS[severity], `${severity}:`)} ${saidBy(one)} ${paint('dim', `[${code}]`)}`
  })
  if (left.length > 0) lines.push(`${name}: and ${numbersOf(left, ['error', 'warning', 'note']).join(', ')} more`)
  if (contents.foreign && pods === 0) {
    if (findings.length === 0) lines.push(`${name}: skipped: no network configuration found`)
    return `${lines.join('\n')}\n`
  }
  const numbers = numbersOf(findings, ['error', 'warning'])
  const verdict = numbers.length > 0 ? numbers.join(', ') : paint('green', 'ok')
  const parts = [
    ...(pods > 0
      ? [`${count(pods, 'pod')} checked against ${pods > 1 ? 'their' : 'its'} networks`]
      : summary(contents)),
    ...(silenced > 0 ? [`${silenced} silenced`] : []),
  ]
  const about = parts.length > 0 ? ` (${parts.join('; ')})` : ''
  return `${[...lines, `${name}: ${verdict}${about}`].join('\n')}\n`
}

/** `2 errors`, `1 warning` */
function numbersOf(findings: readonly Finding[], severities: readonly Severity[]): string[] {
  return severities.flatMap((severity) => {
    const number = findings.filter((finding) => finding.severity === severity).length
    return number > 0 ? count(number, severity) : []
  })
}

/** `1 chain: calico, x-calico-route, tuning` */
function summary({ configurations, passedOver }: Report['contents']): string[] {
  const chains = configurations.map((one) => {
    const none = entriesOf(one).length === 0 && !hasDelegates(one.placed) ? ' without x-calico-route' : ''
    return `${printable(listed(typesOf(one), MAX_TYPES).join(', '))}${none}`
  })
  return [
    ...(chains.length > 0 ? [`${count(chains.length, 'chain')}: ${listed(chains, MAX_CHAINS).join('; ')}`] : []),
    ...(passedOver.length > 0 ? [`${count(passedOver.length, 'other document')} skipped`] : []),
  ]
}
