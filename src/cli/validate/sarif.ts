import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { nameOf } from '../files.ts'
import { jsonText } from '../output.ts'
import { version } from '../version.ts'
import { CODES, type FindingCode } from './codes.ts'
import type { Report } from './examine.ts'
import { type Finding, saidBy, shortened } from './finding.ts'

/**
 * The findings as SARIF 2.1.0, which GitHub, GitLab, editors and others read. What comments silence is left out: GitHub
 * opens an alert also for a result with "suppressions".
 * @see https://github.com/github/codeql-action/issues/1230
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
export function sarif(reports: readonly Report[]): string {
  const results = reports.flatMap(({ file, findings }) => shortened(findings).told.map((one) => result(file, one)))
  const [name = '', number = ''] = version().trim().split(' ')
  const driver = {
    name,
    version: number,
    rules: RULES.map((code) => ({
      id: code,
      shortDescription: { text: CODES[code].title },
      // No address of the page: each version of this project, and each copy of it, has its own.
      help: { text: `${CODES[code].title}. What to write: x-calico-route, docs/findings.md, ${code}.` },
      defaultConfiguration: { level: CODES[code].severity },
    })),
  }
  return jsonText({
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }],
  })
}

const RULES = Object.keys(CODES) as FindingCode[]

function result(file: string, one: Finding): object {
  const { code, severity, position } = one
  // GitHub shows nothing without a line.
  const { line, column } = position ?? { line: 1, column: 1 }
  return {
    ruleId: code,
    ruleIndex: RULES.indexOf(code),
    level: severity,
    message: { text: saidBy(one) },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(file) },
          region: { startLine: line, startColumn: column },
        },
      },
    ],
  }
}

/** Relative to the working directory, as in a repository, unless the file is outside. */
function uriOf(file: string): string {
  const relative = path.relative('', file)
  if (path.isAbsolute(file) && relative.startsWith('..')) return pathToFileURL(file).href
  return nameOf(relative).split(path.sep).map(encodeURIComponent).join('/')
}
