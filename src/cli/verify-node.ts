import { isObject } from '../cni/request.ts'
import { CniError } from '../errors.ts'
import { Exit, type Terminal } from './command.ts'
import { inWords, isSeen, type Seen, type State, seenAs } from './look-at-pod.ts'
import { type Lookers, type Outcome, startLookers } from './lookers.ts'
import { missingReturnPaths } from './node.ts'
import { netnsState } from './node-root.ts'
import { jsonText } from './output.ts'
import { count, painter, printable } from './paint.ts'
import { type Attachment, type Cache, cacheOf, entriesIn, type Read } from './result-cache.ts'
import { table } from './table.ts'

export interface Shown {
  readonly json: boolean
  readonly quiet: boolean
}

/** What became of one attachment. */
interface Verdict extends Seen {
  readonly attachment: Attachment
}

/** Compares all pods that the caches know. @param root where the node's root directory is mounted */
export async function verifyNode(
  caches: readonly string[],
  root: string,
  shown: Shown,
  terminal: Terminal,
): Promise<number> {
  const { cache, seen } = await lookAtAll(caches, root, terminal)
  const verdicts = await withReturnPaths(seen, root)
  if (shown.json) terminal.out(jsonText(nodeJson(verdicts, cache)))
  else terminal.out(nodeText(verdicts, cache, caches, shown.quiet, terminal.colors))
  const some = (state: State) => verdicts.some((verdict) => verdict.state === state)
  if (some('error')) return Exit.trouble
  return some('differs') || cache.unreadable.length > 0 ? Exit.problems : Exit.ok
}

async function lookAtAll(
  caches: readonly string[],
  root: string,
  terminal: Terminal,
): Promise<{ cache: Cache; seen: Verdict[] }> {
  using lookers = startLookers()
  const progress = (total: number, noun: string) => (done: number) => {
    if (terminal.progress) terminal.err(`\r\x1b[K${done === total ? '' : `${done} of ${count(total, noun)}`}`)
  }
  const cache = await readAll(caches, lookers, progress)
  const { attachments } = cache
  const outcomes = await lookers.ask(
    attachments.map((look) => ({ look, root })),
    (answer) => (isSeen(answer) ? answer : undefined),
    progress(attachments.length, 'attachment'),
  )
  const seen = attachments.map((attachment, index) => ({ attachment, ...seenBy(outcomes[index], attachment) }))
  return { cache, seen }
}

type Progress = (total: number, noun: string) => (done: number) => void

async function readAll(caches: readonly string[], lookers: Lookers, progress: Progress): Promise<Cache> {
  const files = entriesIn(caches)
  const outcomes = await lookers.ask(
    files.map((file) => ({ read: file })),
    readIn,
    progress(files.length, 'file'),
  )
  return cacheOf(
    files,
    outcomes.map((outcome) => ('says' in outcome ? outcome.says : { unreadable: outcome.failed })),
  )
}

function readIn(answer: unknown): Read | undefined {
  if (answer === null) return null
  const isRead = isObject(answer) && (isObject(answer.entry) || typeof answer.unreadable === 'string')
  return isRead ? (answer as Read) : undefined
}

function seenBy(outcome: Outcome<Seen> | undefined, { netns }: Attachment): Seen {
  if (outcome && 'says' in outcome) return outcome.says
  return seenAs('error', [`${outcome?.failed}; to look yourself, run: nsenter --net=${netns} ip route`])
}

/** Adds what the node says about the return paths to the pods. */
async function withReturnPaths(verdicts: readonly Verdict[], root: string): Promise<readonly Verdict[]> {
  const nics = verdicts.flatMap(({ nic }) => nic ?? [])
  try {
    const problems = await missingReturnPaths(nics, root)
    return verdicts.map((verdict) => withReturnPath(verdict, (verdict.nic && problems.get(verdict.nic)) ?? [], root))
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const seen = seenAs('error', [`the node's routes cannot be read: ${inWords(error)}`])
    return verdicts.map((verdict) => (verdict.nic ? { ...verdict, ...seen } : verdict))
  }
}

function withReturnPath(verdict: Verdict, problems: readonly string[], root: string): Verdict {
  const { attachment, nic, said, more } = verdict
  // A pod that ended meanwhile took its route with it.
  if (nic && attachment.netns !== undefined && netnsState(root, attachment.netns) === 'gone')
    return { attachment, ...seenAs('gone') }
  return problems.length === 0 ? verdict : { attachment, state: 'differs', said: [...said, ...problems], more }
}

/** Whoever can write to the directory decides how many there are. */
const MAX_UNREADABLE = 20

const COLORS = { ok: 'green', differs: 'red', gone: 'dim', unknown: 'yellow', error: 'red' } as const
const HEAD = ['CONTAINER', 'POD', 'NETWORK', 'IFNAME', 'STATE', 'DIFFERENCE']
const STATE_COLUMN = HEAD.indexOf('STATE')

function nodeText(
  verdicts: readonly Verdict[],
  { unreadable }: Cache,
  caches: readonly string[],
  quiet: boolean,
  colors: boolean,
): string {
  const paint = painter(colors)
  const told = quiet ? verdicts.filter(({ state }) => state === 'differs' || state === 'error') : verdicts
  const rows = told.map(({ attachment: { container, pod = '-', network, ifname }, state, said, more }) => [
    container.slice(0, 12),
    pod,
    network,
    ifname,
    state,
    firstOf(said, more),
  ])
  const broken = unreadableText(unreadable)
  if (rows.length > 0) {
    const painted = (text: string, row: number, column: number) => {
      if (row === 0) return paint('bold', text)
      const state = told[row - 1]?.state
      return column === STATE_COLUMN && state !== undefined ? paint(COLORS[state], text) : text
    }
    return table([HEAD, ...rows], painted) + broken
  }
  if (quiet || broken !== '') return broken
  return `no attachment with x-calico-route in ${caches.map(printable).join(' or ')}\n`
}

function firstOf([first = '', ...others]: readonly string[], more: number): string {
  const left = others.length + more
  return left > 0 ? `${first} (and ${left} more, see -o json)` : first
}

function unreadableText(unreadable: Cache['unreadable']): string {
  const lines = unreadable
    .slice(0, MAX_UNREADABLE)
    .map(({ file, message }) => `${file}: cannot be read: ${message}; if its pod is gone, remove it`)
  const left = unreadable.length - lines.length
  return [...lines, ...(left > 0 ? [`${left} more files cannot be read, see -o json`] : [])]
    .map((line) => `${printable(line)}\n`)
    .join('')
}

function nodeJson(verdicts: readonly Verdict[], { unreadable }: Cache): object {
  return {
    attachments: verdicts.map(({ attachment: { file: _, maker: __, ...attachment }, state, said, more }) => ({
      ...attachment,
      state,
      ...(state === 'differs' ? { differences: more > 0 ? [...said, `and ${more} more`] : said } : {}),
      ...(state === 'error' || state === 'unknown' ? { message: said.join('; ') } : {}),
    })),
    unreadable,
  }
}
