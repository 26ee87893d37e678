import { isObject } from '../cni/request.ts'
import { CniError } from '../errors.ts'
import { Trouble } from './command.ts'
import { inWords, isSeen, type Seen, seenAs } from './look-at-pod.ts'
import type { Lookers, Outcome } from './lookers.ts'
import { missingReturnPaths } from './node.ts'
import { netnsState } from './node-root.ts'
import { type Attachment, type Cache, cacheOf, entriesIn, type Read } from './result-cache.ts'

/** What became of one attachment. */
export interface Verdict extends Seen {
  readonly attachment: Attachment
}

/** Makes what is called after each of `total` things, with how many are done. */
export type Progress = (total: number, noun: string) => (done: number) => void

/**
 * As `readCaches`, but nothing that stands in an entry can harm this process.
 * @throws Trouble for a directory that cannot be read, and if the lookers are stopped: nothing is wrong with the entries
 */
export async function readCachesBy(lookers: Lookers, caches: readonly string[], progress: Progress): Promise<Cache> {
  const files = entriesIn(caches)
  const outcomes = await lookers.ask(
    files.map((file) => ({ read: file })),
    readIn,
    progress(files.length, 'file'),
  )
  if (outcomes.some(isStopped)) throw new Trouble('the result caches have not been read to their end')
  return cacheOf(
    caches,
    files,
    outcomes.map((outcome) => ('says' in outcome ? outcome.says : { unreadable: outcome.failed })),
  )
}

const isStopped = <T>(outcome: Outcome<T> | undefined) => outcome !== undefined && 'stopped' in outcome

function readIn(answer: unknown): Read | undefined {
  if (answer === null) return null
  const isRead = isObject(answer) && (isObject(answer.entry) || typeof answer.unreadable === 'string')
  return isRead ? (answer as Read) : undefined
}

/**
 * Compares the pods of attachments with their configuration. Of those that are left when the lookers are stopped, nothing is
 * said.
 * @param root where the node's root directory is mounted
 */
export async function lookAtAttachments(
  attachments: readonly Attachment[],
  root: string,
  lookers: Lookers,
  progress: Progress,
): Promise<readonly Verdict[]> {
  const outcomes = await lookers.ask(
    attachments.map((look) => ({ look, root })),
    (answer) => (isSeen(answer) ? answer : undefined),
    progress(attachments.length, 'attachment'),
  )
  const seen = attachments.flatMap((attachment, index) =>
    isStopped(outcomes[index]) ? [] : { attachment, ...seenBy(outcomes[index], attachment) },
  )
  return withReturnPaths(seen, root)
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
