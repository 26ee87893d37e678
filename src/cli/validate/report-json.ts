import { nameOf } from '../files.ts'
import { jsonText } from '../output.ts'
import type { Report } from './examine.ts'
import { short, shortened } from './finding.ts'
import { networkOf, typesOf } from './plugins.ts'

/** What programs read of all files, in a form of our own. */
export function reportsJson(reports: readonly Report[]): string {
  return jsonText({ files: reports.map(reportJson) })
}

function reportJson({ file, contents, findings, silenced }: Report): object {
  const { configurations, passedOver } = contents
  const { told, left } = shortened(findings)
  return {
    file: nameOf(file),
    ok: !findings.some(({ severity }) => severity === 'error'),
    chains: configurations.map((one) => ({ network: networkOf(one), plugins: typesOf(one) })),
    passedOver,
    problems: told.map(({ code, severity, position, path, message }) => {
      return { code, severity, ...position, path: short(path), message: short(message) }
    }),
    notShown: left.length,
    silenced,
  }
}
