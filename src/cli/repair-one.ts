import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NetConf } from '../cni/request.ts'
import { hasTurn, takeTurn } from '../kernel/turns.ts'
import type { Asked } from '../verbs/repair.ts'
import { onThisSide } from './node-root.ts'
import { areUnchanged, type Entries, readAgain } from './pod-entries.ts'
import { AT_WORK, type PodRepair, repairNetns, SETTLED_MS, type Todo, unknownWishes } from './repair-pod.ts'
import { CACHES, podsOf, readCaches } from './result-cache.ts'
import { turnsBelow } from './turns.ts'

/** One NIC of one pod, and its configuration as somebody wrote it. */
export interface One {
  readonly conf: NetConf
  readonly ifname: string
  /** The path on the node. */
  readonly netns: string
  readonly root: string
}

/**
 * Looks at the pod of a NIC and, unless `dryRun`, repairs it. If the caches know the pod, its other attachments count too.
 * @throws CniError
 */
export async function repairOne(one: One, dryRun: boolean, signal: AbortSignal): Promise<PodRepair> {
  const first = await look(one)
  if (dryRun || first.todo === undefined) return first
  await sleep(SETTLED_MS, undefined, { signal }).catch(() => {})
  return signal.aborted ? first : look(one, first.todo)
}

/** @param todo what an earlier look found; if it is still the same, it is done */
async function look(one: One, todo?: Todo): Promise<PodRepair> {
  const { root } = one
  const here = onThisSide(root, one.netns)
  const pods = podsOf(readCaches(CACHES.map((directory) => onThisSide(root, directory))))
  const pod = pods.find((each) => each.netns !== undefined && isSameNetns(onThisSide(root, each.netns), here))
  const unknown = pod && unknownWishes(pod)
  if (unknown) return unknown
  // No runtime knows of a pod without cache entries, so none calls for it.
  const end = pod && todo ? takeTurn(pod.container, OWNER, turnsBelow(root)) : () => {}
  if (!end) return AT_WORK.call
  try {
    const entries = pod ? readAgain(pod) : NO_ENTRIES
    if (!entries) return AT_WORK.entries
    const asked = withOne(one, entries.asked)
    const isUnchanged = () => !pod || (areUnchanged(pod, entries) && hasTurn(pod.container, OWNER, turnsBelow(root)))
    // One of the pods of which no entry names a namespace may be this one.
    const only = !pod && pods.some((each) => each.netns === undefined) ? 'asked' : undefined
    return await repairNetns({ ...entries, asked }, here, { root, only, todo, isUnchanged })
  } finally {
    end()
  }
}

const OWNER = randomBytes(8).toString('hex')
const NO_ENTRIES: Entries = { asked: [], fingerprint: '' }

/**
 * What the pod asks for, with this configuration in the place of that of the NIC. What the runtime has added to that one still
 * counts: the cni-args of the pod, and prevResult. Without prevResult, the pod is compared with the configuration only.
 */
export function withOne({ conf, ifname }: Pick<One, 'conf' | 'ifname'>, asked: readonly Asked[]): Asked[] {
  const at = asked.findIndex((one) => one.ifname === ifname)
  const { prevResult = {}, args } = asked[at]?.conf ?? {}
  const mine = { conf: { prevResult, ...(args === undefined ? {} : { args }), ...conf }, ifname }
  // The order of the attachments counts.
  return at < 0 ? [...asked, mine] : asked.with(at, mine)
}

/** A pod may be given by another path than that of its cache entries, such as /proc/PID/ns/net. */
function isSameNetns(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)]
    return a.dev === b.dev && a.ino === b.ino
  } catch {
    return false // gone, and no pod of a cache any more
  }
}
