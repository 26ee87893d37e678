import path from 'node:path'
import { nameOf } from '../files.ts'
import type { Severity } from './codes.ts'
import type { Report } from './examine.ts'
import { type Finding, saidBy, shortened } from './finding.ts'

const COMMANDS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', note: 'notice' }

/**
 * The findings as commands to the log of a GitHub workflow, which shows them beside the lines of a pull request.
 * @see https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
 */
export function githubCommands({ file, findings }: Report): string {
  return shortened(findings)
    .told.map((one) => command(path.normalize(nameOf(file)), one))
    .join('')
}

function command(file: string, one: Finding): string {
  const { code, severity, position } = one
  const properties = [
    `file=${property(file)}`,
    ...(position ? [`line=${position.line}`, `col=${position.column}`] : []),
    `title=${code}`,
  ]
  return `::${COMMANDS[severity]} ${properties.join(',')}::${data(saidBy(one))}\n`
}

/** @see https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts escapeData, escapeProperty */
const data = (text: string) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string) => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
