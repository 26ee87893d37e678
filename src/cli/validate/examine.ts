import type { ReadSet } from '../../config/route-sets.ts'
import { type Terminal, Trouble } from '../command.ts'
import { type Asked, filesOf, readContents } from '../files.ts'
import { checkConfiguration } from './chain.ts'
import type { Contents } from './documents.ts'
import { type Finding, inFileOrder, sayer } from './finding.ts'
import { checkTogether } from './neighbours.ts'
import { setsKnown } from './set-sources.ts'
import { withoutSilenced } from './silence.ts'
import { withoutParameters, withoutTemplate } from './template.ts'
import { bridgedAmong } from './virtual-machines.ts'
import { workloadsIn } from './workloads.ts'

/** What validate says of one file. */
export interface Report {
  readonly file: string
  readonly contents: Contents
  readonly findings: readonly Finding[]
  /** How many findings comments have silenced. */
  readonly silenced: number
  /** How many pods of a file without networks were checked against the networks of the others. */
  readonly pods: number
}

type Read = Asked & Pick<Report, 'contents'>

/** A file with the findings about it so far. */
type Examined = Pick<Report, 'file' | 'contents' | 'findings'>

/** Reports on all files that can be read, and says of the others why they cannot. */
export function examine(
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
  const apart = files.map((one) => examineAlone(one, { isBridged, readSet }, some))
  const examined = some ? withFindingsTogether(apart) : apart
  return { reports: examined.map((one) => reportOn(one, some)), troubles }
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
function examineAlone(
  { file, inDirectory, contents }: Read,
  { isBridged, readSet }: { isBridged: (definition?: string) => boolean; readSet: ReadSet },
  some: boolean,
): Examined {
  if (contents.foreign && (inDirectory || some)) return { file, contents, findings: [] }
  const findings = [...contents.findings]
  for (const one of contents.configurations) {
    const say = sayer(one.placed, findings, one.base)
    checkConfiguration(one, say, { bridged: isBridged(one.attachmentDefinition), readSet })
  }
  return { file, contents, findings: withoutTemplate(findings, contents.template) }
}

/** Adds the findings that need several files. */
function withFindingsTogether(examined: readonly Examined[]): Examined[] {
  const files = examined.map((one) => ({ one, ...one.contents, findings: [...one.findings] }))
  checkTogether(files)
  return files.map(({ one, findings }) => ({ ...one, findings }))
}

/** @param some one of the files has a network configuration */
function reportOn({ file, contents, findings: all }: Examined, some: boolean): Report {
  const known = contents.parameters ? withoutParameters(all) : all
  const { findings, silenced } = withoutSilenced(known, contents.silencers)
  const pods = some && contents.foreign ? contents.others.flatMap((one) => workloadsIn(one)).length : 0
  return { file, contents, findings: inFileOrder(findings), silenced, pods }
}
