import type { NetConf } from '../cni/request.ts'
import { type Family, parsePrefix } from '../net/address.ts'
import { DEFAULT_DST } from '../net/route.ts'
import type { ConfiguredRoute } from './config.ts'
import { destinationProblem, isAbsolutePath, MAX_ROUTES, SETS_DIR } from './schema.ts'

/** A prefix of a route set. */
export interface SetPrefix {
  readonly family: Family
  readonly dst: string
  /** Where it is in the file of the set; the first line is 1. */
  readonly line: number
}

/** What is wrong with the text of a set. */
export interface SetProblem {
  /** Absent if it is about the whole. */
  readonly line?: number
  readonly says: string
}

export type ParsedSet = { readonly prefixes: readonly SetPrefix[] } | { readonly problems: readonly SetProblem[] }

/**
 * What is known of a set. `later`: it is not there yet, or not whole, so that it may well be read the next time. Undefined:
 * nothing, because there are no sets where the configuration is looked at.
 */
export type SetRead =
  | { readonly file: string; readonly prefixes: readonly SetPrefix[] }
  | { readonly problems: readonly string[]; readonly later?: boolean }
  | undefined

/** Reads the set `name` of a directory. */
export type ReadSet = (directory: string, name: string) => SetRead

/** For where there are no sets: entries that name one make no routes. */
export const UNKNOWN_SETS: ReadSet = () => undefined

/** Larger files are not read: 10,000 prefixes take half of it at most. */
export const MAX_SET_BYTES = 1024 * 1024

/** Nobody reads further. */
const MAX_PROBLEMS = 20

/** Reads the text of a set: one prefix a line, `#` before comments. A prefix that is there twice counts once. */
export function parseSet(text: string): ParsedSet {
  const bare = bareReturn(text)
  if (bare) return { problems: [bare] }
  const prefixes = new Map<string, SetPrefix>()
  const problems: SetProblem[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const comment = line.indexOf('#')
    const written = (comment < 0 ? line : line.slice(0, comment)).trim()
    if (written === '') continue
    const prefix = parsePrefix(written)
    const problem =
      prefix && `${prefix.address}/${prefix.length}` === prefix.network
        ? defaultProblem(prefix)
        : destinationProblem(written)
    const number = index + 1
    if (problem !== undefined) {
      problems.push({ line: number, says: problem })
      if (problems.length === MAX_PROBLEMS) break
    } else if (prefix && !prefixes.has(prefix.network)) {
      const { family, network } = prefix
      prefixes.set(network, { family, dst: network, line: number })
    }
  }
  if (prefixes.size > MAX_ROUTES) problems.push({ says: `has ${prefixes.size} prefixes; the limit is ${MAX_ROUTES}` })
  return problems.length > 0 ? { problems } : { prefixes: [...prefixes.values()] }
}

/** Where lines end by carriage returns alone, all is one line, and a comment at its beginning would hide the rest. */
function bareReturn(text: string): SetProblem | undefined {
  const at = text.includes('\r') ? text.search(/\r(?!\n|$)/) : -1
  if (at < 0) return undefined
  const line = text.slice(0, at).split('\n').length
  return { line, says: 'has a carriage return without a line feed; end lines with line feeds, or with both' }
}

/** Reads the text of a set that is in `file`, which its problems name. */
export function setIn(text: string, file: string): NonNullable<SetRead> {
  const parsed = parseSet(text)
  if ('prefixes' in parsed) return { file, ...parsed }
  return {
    problems: parsed.problems.map(({ line, says }) => `${file}:${line === undefined ? '' : `${line}:`} ${says}`),
  }
}

function defaultProblem({ family, network }: { family: Family; network: string }): string | undefined {
  if (network !== DEFAULT_DST[family]) return undefined
  return `${network} is the default route, which no set can have; write the prefixes you need`
}

/** The sets that a configuration can name, each read once. */
export type Sets = (name: string) => SetRead

/** The sets of the directory that a configuration names. What is wrong with one is told once. */
export function setsOf({ setsDir }: NetConf, readSet: ReadSet): Sets {
  const known = new Map<string, SetRead>()
  return (name) => {
    const directory = setsDir ?? SETS_DIR
    // If the directory is wrong, the configuration is refused for that.
    if (known.has(name) || typeof directory !== 'string' || !isAbsolutePath(directory)) return known.get(name)
    const read = readSet(directory, name)
    known.set(name, read && 'prefixes' in read ? read : undefined)
    return read
  }
}

/** An entry of `routes` that names a set. */
export interface SetEntry {
  readonly path: string
  readonly set: string
  /** The route to a prefix of the set, and what contradicts it in the entry. */
  readonly routeTo: (prefix: SetPrefix, file: string) => { route: ConfiguredRoute; problems: readonly string[] }
}

/** The routes that come of an entry. */
export interface Expansion {
  readonly file: string
  readonly routes: readonly ConfiguredRoute[]
}

/** What comes of all entries with sets. */
export interface Expanded {
  /** Of each entry whose set can be read, by key path. */
  readonly expansions: ReadonlyMap<string, Expansion>
  readonly problems: readonly string[]
  /** What may be right the next time. */
  readonly later: readonly string[]
}

/** The routes that are already configured. */
export interface Taken {
  /** Whether this is the first route in its place, which is taken then. */
  readonly take: (route: ConfiguredRoute) => boolean
  /** How many more there may be. */
  readonly left: number
}

/**
 * Makes a route of each prefix of each set. Where an entry with `dst` or an earlier set already has a route in the same
 * place, that one stays.
 */
export function expandSets(entries: readonly SetEntry[], sets: Sets, { take, left }: Taken): Expanded {
  const expansions = new Map<string, Expansion>()
  const [problems, later] = [[] as string[], [] as string[]]
  let room = left
  for (const entry of entries) {
    const { path, set } = entry
    const read = sets(set)
    if (read === undefined) continue
    if ('problems' in read) {
      ;(read.later ? later : problems).push(...read.problems.map((problem) => `${path}.set: ${problem}`))
      continue
    }
    const { routes, problems: contradictions } = expand(entry, read.file, read.prefixes)
    problems.push(...contradictions)
    const made = routes.filter(take)
    room -= made.length
    if (room < 0) {
      problems.push(`${path}.set: brings the routes to ${MAX_ROUTES - room}; the limit is ${MAX_ROUTES}`)
      break
    }
    expansions.set(path, { file: read.file, routes: made })
  }
  return { expansions, problems, later }
}

/** The other keys of an entry are checked and read once for each family, and are the same for all prefixes of it. */
function expand({ routeTo }: SetEntry, file: string, prefixes: readonly SetPrefix[]) {
  const models: Partial<Record<Family, ConfiguredRoute>> = {}
  const problems: string[] = []
  const routes = prefixes.map((prefix) => {
    const { family, dst, line } = prefix
    let model = models[family]
    if (!model) {
      const first = routeTo(prefix, file)
      problems.push(...first.problems)
      model = first.route
      models[family] = model
    }
    return { ...model, dst, line }
  })
  return { routes, problems }
}
