import { isatty } from 'node:tty'
import { Exit, Trouble } from '../command.ts'
import { onceFromStdin, STDIN } from '../files.ts'
import { OUTPUT } from '../output.ts'
import { type Paint, painter } from '../paint.ts'
import { define } from '../usage/define.ts'
import type { Definition } from '../usage/definition.ts'
import type { Severity } from './codes.ts'
import { examine, type Report } from './examine.ts'
import { githubCommands } from './github-commands.ts'
import { reportsJson } from './report-json.ts'
import { reportText } from './report-text.ts'
import { sarif } from './sarif.ts'
import { SETS } from './set-sources.ts'
import { SETS_CONFIG_MAP } from './set-texts.ts'

const OUTPUTS = ['text', 'json', 'sarif', 'github'] as const

const DEFINITION = {
  name: 'validate',
  summary: 'check network configurations before a runtime reads them',
  usage: ['[--sets DIR] [--strict] [-o json|sarif|github] [FILE…]'],
  about: [
    "Report every problem with file, line, column and key path. It reads network configurations and plugin lists in JSON, NetworkAttachmentDefinitions in YAML or JSON, and ConfigMaps with a network configuration in them; also in a List, or in an OpenShift Template. Of other documents it reads what pods and VMs ask for, Kube-OVN's Subnets, and the Secrets that cloud-init reads. It assumes that all FILEs belong to one cluster. The rules are the plugin's own; the keys of other plugins are checked only where this plugin depends on them.",
    'FILE may be a directory; then it reads `*.conf`, `*.conflist`, `*.json`, `*.yaml` and `*.yml` in it. "-" is stdin, which it also reads if there is no FILE and stdin is not a terminal.',
    `An entry of "routes" that names a set is checked with the prefixes of that set, if they are known: from --sets, else from a ConfigMap ${SETS_CONFIG_MAP} (or with a suffix) among the FILEs.`,
    [
      ['error', 'A runtime, a plugin or the API server refuses it.'],
      ['warning', 'It is accepted, but does not do what it seems to.'],
      ['note', 'Worth knowing.'],
    ],
    'Each finding ends in its code, which docs/findings.md explains. A comment `# x-calico-route: ignore XCR205` in YAML silences warnings and notes of that code: on their line, above it, or at the head of a document for all of it. Errors cannot be silenced. The last line of a file says how many were.',
    'It shows at most 100 problems per file, errors first, and says how many more there are.',
  ],
  argument: { name: 'FILE', count: 'any', completes: 'file' },
  options: {
    sets: SETS,
    strict: { about: 'Let warnings fail the command too.' },
    output: {
      ...OUTPUT,
      words: OUTPUTS,
      about:
        'What to print: text, one JSON document for programs, SARIF 2.1.0 for code scanning, or commands for the log of a GitHub workflow.',
    },
  },
  exit: [
    ['0', 'No errors.'],
    ['1', 'There are errors; with --strict, errors or warnings.'],
    ['2', 'A file cannot be read.'],
  ],
  examples: ['x-calico-route validate /etc/cni/net.d network.yaml', 'helm template CHART | x-calico-route validate -'],
} as const satisfies Definition

export const validate = define(DEFINITION, ({ options: { sets, strict, output }, words }, terminal) => {
  if (words.length === 0 && isatty(0)) throw new Trouble('FILE is missing\nSee x-calico-route validate --help.')
  const files = words.length > 0 ? words : [STDIN]
  onceFromStdin(files.map((word) => ['FILE', word]))
  const { reports, troubles } = examine(files, sets, terminal)
  const paint = painter(terminal.colors)
  for (const trouble of troubles) terminal.err(`${trouble}\n`)
  terminal.out(FORMS[output](reports, paint))
  if (troubles.length > 0) return Exit.trouble
  const failing: readonly Severity[] = strict ? ['error', 'warning'] : ['error']
  const failed = reports.some(({ findings }) => findings.some(({ severity }) => failing.includes(severity)))
  return failed ? Exit.problems : Exit.ok
})

const FORMS: Readonly<Record<(typeof OUTPUTS)[number], (reports: readonly Report[], paint: Paint) => string>> = {
  text: (reports, paint) => reports.map((report) => reportText(report, paint)).join(''),
  json: reportsJson,
  sarif,
  github: (reports) => reports.map(githubCommands).join(''),
}
