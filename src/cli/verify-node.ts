import { Exit, type Terminal } from './command.ts'
import { lookAtAttachments, readCachesBy, type Verdict } from './look-at-node.ts'
import type { State } from './look-at-pod.ts'
import { startLookers } from './lookers.ts'
import { allOf, noRows, progressOn, type Shown, stateTable, unreadableText } from './node-text.ts'
import { jsonText } from './output.ts'
import { painter } from './paint.ts'
import { podsNamed } from './pod-name.ts'
import type { Cache } from './result-cache.ts'

/** Which attachments are meant. */
interface Where {
  readonly caches: readonly string[]
  /** Where the node's root directory is mounted. */
  readonly root: string
  /** If only one pod is meant. */
  readonly pod: string | undefined
}

/** Compares the pods that the caches know. @throws Trouble if they do not know the one that is meant */
export async function verifyNode(where: Where, shown: Shown, terminal: Terminal): Promise<number> {
  const { cache, verdicts } = await lookAtAll(where, terminal)
  const { caches } = where
  if (shown.json) terminal.out(jsonText(nodeJson(verdicts, cache)))
  else terminal.out(nodeText(verdicts, cache, caches, shown.quiet, terminal.colors))
  const some = (state: State) => verdicts.some((verdict) => verdict.state === state)
  if (some('error')) return Exit.trouble
  return some('differs') || cache.unreadable.length > 0 ? Exit.problems : Exit.ok
}

async function lookAtAll(
  { caches, root, pod }: Where,
  terminal: Terminal,
): Promise<{ cache: Cache; verdicts: readonly Verdict[] }> {
  using lookers = startLookers()
  const progress = progressOn(terminal)
  const all = await readCachesBy(lookers, caches, progress)
  const cache = pod === undefined ? all : onlyOf(all, pod)
  return { cache, verdicts: await lookAtAttachments(cache.attachments, root, lookers, progress) }
}

function onlyOf(cache: Cache, pod: string): Cache {
  const pods = podsNamed(cache, pod)
  return {
    ...cache,
    attachments: pods.flatMap(({ attachments }) => attachments),
    unreadable: pods.flatMap(({ unreadable }) => unreadable),
  }
}

function nodeText(
  verdicts: readonly Verdict[],
  { unreadable }: Cache,
  caches: readonly string[],
  quiet: boolean,
  colors: boolean,
): string {
  const told = quiet ? verdicts.filter(({ state }) => state === 'differs' || state === 'error') : verdicts
  const rows = told.map(({ attachment: { container, pod = '-', network, ifname }, ...seen }) => ({
    ...seen,
    cells: [container.slice(0, 12), pod, network, ifname],
  }))
  const broken = unreadableText(unreadable)
  if (rows.length > 0) return stateTable(['CONTAINER', 'POD', 'NETWORK', 'IFNAME'], rows, painter(colors)) + broken
  return quiet || broken !== '' ? broken : noRows(caches)
}

function nodeJson(verdicts: readonly Verdict[], { unreadable }: Cache): object {
  return {
    attachments: verdicts.map(({ attachment: { container, pod, network, ifname, netns }, ...seen }) => ({
      container,
      pod,
      network,
      ifname,
      netns,
      state: seen.state,
      ...(seen.state === 'differs' ? { differences: allOf(seen) } : {}),
      ...(seen.state === 'error' || seen.state === 'unknown' ? { message: seen.said.join('; ') } : {}),
    })),
    unreadable,
  }
}
