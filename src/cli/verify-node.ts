import { Exit, type Terminal } from './command.ts'
import { lookAtAttachments, readCachesBy, type Verdict } from './look-at-node.ts'
import type { State } from './look-at-pod.ts'
import { startLookers } from './lookers.ts'
import { allOf, noRows, progressOn, type Shown, stateTable, unreadableText } from './node-text.ts'
import { jsonText } from './output.ts'
import { painter } from './paint.ts'
import type { Cache } from './result-cache.ts'

/** Compares all pods that the caches know. @param root where the node's root directory is mounted */
export async function verifyNode(
  caches: readonly string[],
  root: string,
  shown: Shown,
  terminal: Terminal,
): Promise<number> {
  const { cache, verdicts } = await lookAtAll(caches, root, terminal)
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
): Promise<{ cache: Cache; verdicts: readonly Verdict[] }> {
  using lookers = startLookers()
  const progress = progressOn(terminal)
  const cache = await readCachesBy(lookers, caches, progress)
  return { cache, verdicts: await lookAtAttachments(cache.attachments, root, lookers, progress) }
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
