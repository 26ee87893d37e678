import { createHash } from 'node:crypto'
import { MAX_SET_BYTES, parseSet, type SetPrefix, setIn } from '../../config/route-sets.ts'
import { SET_NAME } from '../../config/schema.ts'
import { listed } from '../../errors.ts'
import { familyOf, isWithin } from '../../net/address.ts'
import { survivorsOf } from './survivors.ts'

/** A file of a directory of sets. */
export interface SetFile {
  readonly name: string
  /** What it holds, or why that cannot be read. */
  readonly read: { readonly text: string } | { readonly unreadable: string }
}

/** What sets may hold, and where they come from and go to. */
export interface SetRules {
  readonly from: string
  readonly to: string
  /** If absent, any prefix. */
  readonly within?: readonly string[]
  readonly allowShrink: boolean
}

/** The sets that attachments of the node name, each with one that does. Unknown: some may be named that we cannot see. */
export type Named = ReadonlyMap<string, string> | 'unknown'

/** What to do about one set of the node. */
export interface SetPlan {
  readonly name: string
  /** False for a file whose name no set can have. */
  readonly isSet: boolean
  readonly act: { readonly write: string } | 'remove' | 'nothing'
  /** How many prefixes the node has of it afterwards; absent if it has no good version. */
  readonly prefixes?: number
  /** Why the node does not get what is in the directory that the sets come from. */
  readonly problem?: string
}

/** How the first line of a copy begins. */
const MARK = '# Made by x-calico-route agent'

const copyOf = (text: string, { from }: SetRules, name: string) =>
  `${MARK} of ${from}/${name}. Edit that (in Kubernetes: the ConfigMap mounted there), not this copy. ${digestOf(text)}\n${text}`

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`

/** Whether the agent made a file. Others it neither replaces nor removes. */
export const isCopy = (text: string) => text.startsWith(MARK)

/** Whether a copy is as the agent made it. What somebody wrote into it since then, nobody loses. */
function isIntact({ read }: SetFile): boolean {
  const text = 'text' in read ? read.text : ''
  const end = text.indexOf('\n')
  return text.slice(0, end).endsWith(digestOf(text.slice(end + 1)))
}

/** The copies on the node whose sets are not in the directory that they came from any more. */
export function leftOver(from: readonly SetFile[], to: readonly SetFile[]): string[] {
  const names = new Set(from.map(({ name }) => name))
  return to
    .filter(({ name, read }) => !names.has(name) && SET_NAME.test(name) && 'text' in read && isCopy(read.text))
    .map(({ name }) => name)
}

/**
 * Decides what becomes of each set.
 * @param from the files of the directory that the sets come from, all of one version
 * @param to the files of the node
 * @param named only asked of sets that are left over
 */
export function planSets(
  from: readonly SetFile[],
  to: readonly SetFile[],
  rules: SetRules,
  named: Named,
): readonly SetPlan[] {
  const there = new Map(to.map((file) => [file.name, file]))
  const copied = from.map((file) => planCopy(file, there.get(file.name), rules))
  return [...copied, ...leftOver(from, to).map((name) => planLeftOver(name, there.get(name), rules, named))]
}

function planCopy({ name, read }: SetFile, there: SetFile | undefined, rules: SetRules): SetPlan {
  const file = `${rules.from}/${name}`
  if (!SET_NAME.test(name)) return { name, isSet: false, act: 'nothing', problem: `${file}: ${NOT_A_NAME}` }
  const before = there && goodIn(there)
  const keep = (problem?: string): SetPlan => ({
    name,
    isSet: true,
    act: 'nothing',
    ...(before && { prefixes: before.length }),
    ...(problem !== undefined && { problem }),
  })
  const refuse = (problem: string) =>
    keep(`${problem}; ${before ? 'the last good version stays' : 'the node has no version of it'}`)
  if ('unreadable' in read) return refuse(`${file}: ${read.unreadable}`)
  if (there && !isOurs(there)) return refuse(`${rules.to}/${name}: ${NOT_OURS}`)
  const text = copyOf(read.text, rules, name)
  const isThere = there && 'text' in there.read && there.read.text === text
  const checked = check(read.text, file, there && isIntact(there) ? before : undefined, rules)
  // What was copied under other rules. Pods use it, so it does not go before there is something to replace it.
  if ('problem' in checked) return isThere ? keep(`${checked.problem}; ${ALREADY_THERE}`) : refuse(checked.problem)
  return isThere ? keep() : { name, isSet: true, act: { write: text }, prefixes: checked.prefixes.length }
}

const ALREADY_THERE = 'the node has it already, and keeps it until a good version comes'

const NOT_A_NAME =
  'is not the name of a set; write at most 63 lower case letters, digits and hyphens, such as "underlay"'
const NOT_OURS = 'was not made by the agent, so it is not replaced; remove it, or the set of that name'

/** The prefixes of a file of the node that ADD would take. */
function goodIn({ read }: SetFile): readonly SetPrefix[] | undefined {
  const parsed = 'text' in read ? parseSet(read.text) : undefined
  return parsed && 'prefixes' in parsed ? parsed.prefixes : undefined
}

/** A file that cannot be read may be anything. */
const isOurs = ({ read }: SetFile) => 'text' in read && isCopy(read.text)

type Checked = { readonly prefixes: readonly SetPrefix[] } | { readonly problem: string }

/** How many problems of a set a message has. */
const MAX_TOLD = 3

function check(text: string, file: string, before: readonly SetPrefix[] | undefined, rules: SetRules): Checked {
  if (Buffer.byteLength(text) > MAX_SET_BYTES - MAX_HEAD)
    return { problem: `${file}: longer than ${MAX_SET_BYTES - MAX_HEAD} bytes` }
  const parsed = setIn(text, file)
  if ('problems' in parsed) return { problem: listed(parsed.problems, MAX_TOLD).join('; ') }
  const { prefixes } = parsed
  const told = prefixes.flatMap(({ dst, line }) => {
    const problem = boundsProblem(dst, rules)
    return problem === undefined ? [] : [`${file}:${line}: ${dst} ${problem}`]
  })
  if (told.length > 0) return { problem: listed(told, MAX_TOLD).join('; ') }
  // What is out of bounds may go.
  const old = before?.filter(({ dst }) => boundsProblem(dst, rules) === undefined) ?? []
  const problem = rules.allowShrink ? undefined : shrinkProblem(old, prefixes)
  return problem === undefined ? { prefixes } : { problem: `${file}: ${problem}` }
}

/** More than the line by which we know a copy takes. */
const MAX_HEAD = 16 * 1024

/** Two halves of all addresses are as good as a default route. Who wants such prefixes says so by --sets-within. */
const SHORTEST = { 4: 8, 6: 16 } as const

function boundsProblem(dst: string, { within }: SetRules): string | undefined {
  if (within) return within.some((outer) => isWithin(dst, outer)) ? undefined : 'is outside --sets-within'
  const shortest = SHORTEST[familyOf(dst)]
  if (Number(dst.slice(dst.indexOf('/') + 1)) >= shortest) return undefined
  return `is shorter than /${shortest}; write longer prefixes, or give a --sets-within that covers it`
}

function shrinkProblem(then: readonly SetPrefix[], now: readonly SetPrefix[]): string | undefined {
  const [old, left] = [then.length, survivorsOf(then, now)]
  if (left * 2 >= old) return undefined
  const what = now.length === 0 ? 'become empty' : `lose ${old - left} of its ${old} prefixes`
  return `would ${what}; give --allow-shrink if that is right`
}

function planLeftOver(name: string, there: SetFile | undefined, rules: SetRules, named: Named): SetPlan {
  if (named !== 'unknown' && !named.has(name)) return { name, isSet: true, act: 'remove' }
  const prefixes = there && goodIn(there)?.length
  const why =
    named === 'unknown'
      ? 'not all cache entries of the node can be read, so it stays'
      : `attachments of this node name it, such as ${named.get(name)}, so it stays`
  return {
    name,
    isSet: true,
    act: 'nothing',
    ...(prefixes !== undefined && { prefixes }),
    problem: `${rules.to}/${name}: is not in ${rules.from} any more, but ${why}`,
  }
}
