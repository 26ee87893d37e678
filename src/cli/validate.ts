import { isatty } from 'node:tty'
import type { ReadSet } from '../config/route-sets.ts'
import { listed } from '../errors.ts'
import { checkConfiguration, entriesOf, MAX_TYPES, networkOf, typesOf } from './chain.ts'
import type { Severity } from './codes.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { hasDelegates } from './delegates.ts'
import type { Contents } from './documents.ts'
import { type Asked, filesOf, nameOf, onceFromStdin, readContents, STDIN } from './files.ts'
import { type Finding, inFileOrder, sayer, shortened } from './finding.ts'
import { checkTogether } from './neighbours.ts'
import { jsonText, OUTPUT } from './output.ts'
import { count, type Paint, painter, printable } from './paint.ts'
import { SETS, setsKnown } from './set-sources.ts'
import { SETS_CONFIG_MAP } from './set-texts.ts'
import { withoutTemplate } from './template.ts'
import { define } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'
import { bridgedAmong } from './virtual-machines.ts'
import { workloadsIn } from './workloads.ts'

const DEFINITION = {
  name: 'validate',
  summary: 'check network configurations before a runtime reads them',
  usage: ['[--sets DIR] [--strict] [-o json] [FILE…]'],
  about: [
    "Report every problem with file, line, column and key path. It reads network configurations and plugin lists in JSON, and NetworkAttachmentDefinitions in YAML or JSON. In other documents it only looks for the networks that pods and VMs ask for. It assumes that all FILEs belong to one cluster. The rules are the plugin's own; the keys of other plugins are checked only where this plugin depends on them.",
    'FILE may be a directory; then it reads `*.conf`, `*.conflist`, `*.json`, `*.yaml` and `*.yml` in it. "-" is stdin, which it also reads if there is no FILE and stdin is not a terminal.',
    `An entry of "routes" that names a set is checked with the prefixes of that set, if they are known: from --sets, else from a ConfigMap ${SETS_CONFIG_MAP} (or with a suffix) among the FILEs.`,
    [
      ['error', 'A runtime or the plugin refuses it.'],
      ['warning', 'It is accepted, but does not do what it seems to.'],
      ['note', 'Worth knowing.'],
    ],
    'It shows at most 100 problems per file, errors first, and says how many more there are.',
  ],
  argument: { name: 'FILE', count: 'any', completes: 'file' },
  options: { sets: SETS, strict: { about: 'Let warnings fail the command too.' }, output: OUTPUT },
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
  if (output === 'json') terminal.out(jsonText({ files: reports.map(reportJson) }))
  else for (const report of reports) terminal.out(reportText(report, paint))
  if (troubles.length > 0) return Exit.trouble
  const failing: readonly Severity[] = strict ? ['error', 'warning'] : ['error']
  const failed = reports.some(({ findings }) => findings.some(({ severity }) => failing.includes(severity)))
  return failed ? Exit.problems : Exit.ok
})

interface Report {
  readonly file: string
  readonly contents: Contents
  readonly findings: readonly Finding[]
  /** How many pods of a file without networks were checked against the networks of the others. */
  readonly pods?: number
}

type Read = Asked & Pick<Report, 'contents'>

/** Reports on all files that can be read, and says of the others why they cannot. */
function examine(
  words: readonly string[],
  sets: string | undefined,
  terminal: Terminal,
): { reports: Report[]; troubles: string[] } {
  const troubles: string[] = []
  const read = words.map((word) => ({ word, files: readAll(word, terminal, troubles) }))
  const files = read.flatMap((one) => one.files)
  // The other objects of a cluster may well be beside its networks.
  const some = files.some(({ contents }) => contents.configurations.length > 0)
  for (const { word, files } of read) {
    // A single file says so itself.
    if (!some && files.length > 0 && files.every(({ contents, inDirectory }) => contents.foreign && inDirectory))
      troubles.push(new Trouble(`${word}: no file in this directory has a network configuration`).message)
  }
  // A virtual machine in one file may use a network in another.
  const isBridged = bridgedAmong(files.flatMap(({ contents }) => contents.bridged))
  const readSet = setsKnown(
    sets,
    files.flatMap(({ contents }) => contents.sets),
  )
  const reports = files.map((one) => report(one, { isBridged, readSet }, some))
  return { reports: some ? withFindingsTogether(reports) : reports, troubles }
}

/** Adds the findings that need several files. */
function withFindingsTogether(reports: readonly Report[]): Report[] {
  const files = reports.map((report) => ({ report, ...report.contents, findings: [...report.findings] }))
  checkTogether(files)
  return files.map(({ report, findings }) => {
    const { foreign, others } = report.contents
    const pods = foreign ? others.flatMap(workloadsIn).length : 0
    return { ...report, pods, findings: inFileOrder(findings) }
  })
}

/** The file that a word names, or those in a directory. */
function readAll(word: string, terminal: Terminal, troubles: string[]): Read[] {
  const trying = <T>(what: () => T): T[] => {
    try {
      return [what()]
    } catch (error) {
      if (!(error instanceof Trouble)) throw error
      troubles.push(error.message)
      return []
    }
  }
  return trying(() => filesOf([word]))
    .flat()
    .flatMap((asked) => trying(() => ({ ...asked, contents: readContents(asked.file, terminal, asked.inDirectory) })))
}

/** @param some one of the files has a network configuration */
function report(
  { file, inDirectory, contents }: Read,
  { isBridged, readSet }: { isBridged: (definition?: string) => boolean; readSet: ReadSet },
  some: boolean,
): Report {
  if (contents.foreign && (inDirectory || some)) return { file, contents, findings: [] }
  const findings = [...contents.findings]
  for (const one of contents.configurations) {
    const say = sayer(one.placed, findings, one.base)
    checkConfiguration(one, say, { bridged: isBridged(one.attachmentDefinition), readSet })
  }
  return { file, contents, findings: inFileOrder(withoutTemplate(findings, contents.template)) }
}

function reportText({ file, contents, findings, pods = 0 }: Report, paint: Paint): string {
  const name = printable(nameOf(file))
  const { told, left } = shortened(findings)
  const lines = told.map(({ code, severity, position, path, message }) => {
    const where = position ? `${name}:${position.line}:${position.column}` : name
    const said = printable(path === '' ? short(message) : `${short(path)}: ${short(message)}`)
    return `${paint('bold', where)}: ${paint(COLORS[severity], `${severity}:`)} ${said} ${paint('dim', `[${code}]`)}`
  })
  if (left.length > 0) lines.push(`${name}: and ${numbersOf(left, ['error', 'warning', 'note']).join(', ')} more`)
  if (contents.foreign && pods === 0) {
    if (findings.length === 0) lines.push(`${name}: skipped: no network configuration found`)
    return `${lines.join('\n')}\n`
  }
  const numbers = numbersOf(findings, ['error', 'warning'])
  const verdict = numbers.length > 0 ? numbers.join(', ') : paint('green', 'ok')
  const about =
    pods > 0 ? ` (${count(pods, 'pod')} checked against ${pods > 1 ? 'their' : 'its'} networks)` : summary(contents)
  return `${[...lines, `${name}: ${verdict}${about}`].join('\n')}\n`
}

/** `2 errors`, `1 warning` */
function numbersOf(findings: readonly Finding[], severities: readonly Severity[]): string[] {
  return severities.flatMap((severity) => {
    const number = findings.filter((finding) => finding.severity === severity).length
    return number > 0 ? count(number, severity) : []
  })
}

/** A message that quotes a file may be as long as the file. */
function short(message: string): string {
  return message.length > MAX_LENGTH ? `${message.slice(0, MAX_LENGTH - 3)}...` : message
}

const MAX_LENGTH = 1_000

/** How many chains the last line of a file names. */
const MAX_CHAINS = 20

/** ` (1 chain: calico, x-calico-route, tuning)` */
function summary({ configurations, passedOver }: Contents): string {
  const chains = configurations.map((one) => {
    const none = entriesOf(one).length === 0 && !hasDelegates(one.placed) ? ' without x-calico-route' : ''
    return `${printable(listed(typesOf(one), MAX_TYPES).join(', '))}${none}`
  })
  const parts = chains.length > 0 ? [`${count(chains.length, 'chain')}: ${listed(chains, MAX_CHAINS).join('; ')}`] : []
  if (passedOver.length > 0) parts.push(`${count(passedOver.length, 'other document')} skipped`)
  return parts.length > 0 ? ` (${parts.join('; ')})` : ''
}

const COLORS = { error: 'red', warning: 'yellow', note: 'cyan' } as const

function reportJson({ file, contents, findings }: Report): object {
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
  }
}
