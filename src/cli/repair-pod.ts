import { createHash } from 'node:crypto'
import path from 'node:path'
import { isObject } from '../cni/request.ts'
import { CniError, Code, listed, messageOf } from '../errors.ts'
import type { Look } from '../kernel/look.ts'
import { hasTurn, takeTurn } from '../kernel/turns.ts'
import type { Snapshot } from '../net/route.ts'
import type { Only } from '../plan/repair.ts'
import { type OutsideOfRepair, repair } from '../verbs/repair.ts'
import { cutShort, inWords, isCount, isTexts } from './look-at-pod.ts'
import { isInRunNetns, netnsState, onThisSide, setsBelow } from './node-root.ts'
import { areUnchanged, type Entries, readAgain } from './pod-entries.ts'
import { podNetns } from './pod-netns.ts'
import { byRun, type Pod } from './result-cache.ts'
import { type DiffLine, diffOf } from './route-diff.ts'
import { turnsBelow } from './turns.ts'

export const REPAIR_STATES = ['ok', 'repaired', 'differs', 'busy', 'gone', 'unknown', 'error'] as const
export type RepairState = (typeof REPAIR_STATES)[number]

/** What a look found to be done, in short. */
export interface Todo {
  readonly digest: string
  /** How many lines ip(8) will be told. */
  readonly lines: number
}

/** Asks to look at a pod, or to make its routes right. */
export interface RepairQuestion {
  readonly repair: Pod
  /** Where the node's root directory is mounted. */
  readonly root: string
  /** If not everything is to be made right. */
  readonly only?: Only
  /** If absent, nothing is changed. */
  readonly write?: {
    /** What an earlier look found: if there is anything else to be done, nothing is. */
    readonly todo: Todo
    /** Who takes the turn. */
    readonly owner: string
  }
}

/** What was seen of a pod, or done to it. */
export interface PodRepair {
  readonly state: RepairState
  /** What differs or differed, as CHECK says it; first, why nothing was done, or what failed. */
  readonly said: readonly string[]
  /** How much more there is to say. */
  readonly more: number
  /** What was changed, or would be: `+ ROUTE  # KEY` and `- ROUTE  # KEY`, as plan prints it. */
  readonly lines: readonly string[]
  /** If it can be repaired. */
  readonly todo?: Todo
}

/**
 * A runtime writes the cache entry of an attachment after the last plugin of its ADD, and removes it after the last one of its
 * DEL. Meanwhile no call of ours shows that it is at work. So a pod is changed only if it is still as it was so long before.
 */
export const SETTLED_MS = 2000

export const AT_WORK = {
  call: repairedAs('busy', ['a call of the runtime or another repair works on the pod']),
  entries: repairedAs('busy', ['a runtime changes the cache entries of the pod']),
  pod: repairedAs('busy', ['the pod or its cache entries have changed since it was looked at']),
}

/** Looks at a pod or repairs it. Never throws. */
export async function repairPod({ repair: pod, root, only, write }: RepairQuestion): Promise<PodRepair> {
  const unfit = whyUnfit(pod, root)
  if (unfit) return unfit
  const netns = onThisSide(root, pod.netns ?? '')
  const turns = turnsBelow(root)
  let end: (() => void) | undefined
  try {
    if (write) {
      end = takeTurn(pod.container, write.owner, turns)
      if (!end) return AT_WORK.call
    }
    const entries = readAgain(pod)
    if (!entries) return AT_WORK.entries
    return await repairNetns(entries, netns, {
      root,
      only,
      todo: write?.todo,
      // The namespace is open by then, so it is the one that the entries name.
      isUnchanged: () =>
        areUnchanged(pod, entries) && write !== undefined && hasTurn(pod.container, write.owner, turns),
    })
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === Code.invalidEnvironment && netnsState(root, pod.netns ?? '') === 'gone') return repairedAs('gone')
    return repairedAs('error', [error instanceof CniError ? inWords(error) : messageOf(error)])
  } finally {
    end?.()
  }
}

/** Why nobody knows all that a pod asks for. */
export function unknownWishes({ unreadable: [broken], rival }: Pod): PodRepair | undefined {
  if (broken) {
    const says = `${broken.file}: cannot be read: ${broken.message}; so nobody knows all that the pod asks for`
    return repairedAs('error', [says])
  }
  if (rival === undefined) return undefined
  const says = `container ${rival} has the same network namespace by its cache entries; remove those of the one that is gone`
  return repairedAs('error', [says])
}

/** Why it is not even looked at. */
function whyUnfit(pod: Pod, root: string): PodRepair | undefined {
  const { netns, attachments } = pod
  const unknown = unknownWishes(pod)
  if (unknown) return unknown
  if (netns === undefined) return repairedAs('unknown', ['the cache entries name no netns'])
  const other = attachments.find((one) => one.netns !== undefined && byRun(one.netns) !== byRun(netns))
  if (other) return repairedAs('error', [`the cache entries name two namespaces: ${netns} and ${other.netns}`])
  if (!isInRunNetns(netns)) {
    const says = `netns: ${netns} is not in /run/netns, the only directory whose namespaces are repaired`
    return repairedAs('error', [says])
  }
  const there = netnsState(root, netns)
  if (there === 'gone') return repairedAs('gone')
  if (there === 'there') return undefined
  const directory = path.dirname(onThisSide(root, netns))
  return repairedAs('error', [`${directory}: does not exist here; mount it from the node, or give --root`])
}

/** How the routes of a namespace are made right. */
export interface Way {
  readonly root: string
  readonly only?: Only
  /** What an earlier look found; if absent, nothing is changed. */
  readonly todo: Todo | undefined
  /** Asked before the first change. */
  readonly isUnchanged: () => boolean
}

/** @throws CniError */
export async function repairNetns(
  { asked, fingerprint }: Entries,
  netns: string,
  { root, only, todo, isUnchanged }: Way,
): Promise<PodRepair> {
  let snapshot: Snapshot | undefined
  let now: Todo | undefined
  let agreed = false
  const outside: OutsideOfRepair = {
    withNetns: podNetns(root, todo?.lines),
    readSet: setsBelow(root),
    overhear: (look) => heardBy(look, (heard) => (snapshot = heard)),
    agree: (batch) => {
      now = { digest: digestOf([...batch, fingerprint]), lines: batch.length }
      agreed = todo?.digest === now.digest && isUnchanged()
      return agreed
    },
  }
  const { found, ops, left } = await repair(asked, netns, outside, only)
  if (found.length === 0) return repairedAs('ok')
  if (todo && now && !agreed) return AT_WORK.pod
  const reason = left === undefined || (now && !agreed) || found.includes(left) ? [] : [left]
  const changes = now && snapshot ? diffOf(snapshot, ops).filter(({ mark }) => mark !== ' ') : []
  return {
    ...repairedAs(agreed && left === undefined ? 'repaired' : 'differs', [...reason, ...found]),
    lines: cutShort(listed(changes.map(lineOf), MAX_LINES)).said,
    ...(now && !agreed ? { todo: now } : {}),
  }
}

const digestOf = (lines: readonly string[]) => createHash('sha256').update(lines.join('\n')).digest('hex')

/** The configuration decides how many there are. With how many more, at most as many as are told of what differs. */
const MAX_LINES = 99

const lineOf = ({ mark, route, why }: DiffLine) => `${mark} ${route}${why === undefined ? '' : KEY_AFTER + why}`

/** What stands between a route and the key that it comes from. */
export const KEY_AFTER = '  # '

function heardBy(look: Look<Snapshot>, hear: (heard: Snapshot) => void): Look<Snapshot> {
  const listen = () => {
    const { take, heard } = look.listen()
    return {
      take,
      heard: () => {
        const snapshot = heard()
        hear(snapshot)
        return snapshot
      },
    }
  }
  return { ...look, listen }
}

export function repairedAs(state: RepairState, said: readonly string[] = []): PodRepair {
  return { state, ...cutShort(said), lines: [] }
}

/** Whether the answer of another process is of this type. */
export function isPodRepair(value: unknown): value is PodRepair {
  if (!isObject(value)) return false
  const { state, said, more, lines, todo } = value
  const isState = REPAIR_STATES.some((one) => one === state)
  return isState && isTexts(said) && isCount(more) && isTexts(lines) && (todo === undefined || isTodo(todo))
}

function isTodo(value: unknown): value is Todo {
  return isObject(value) && typeof value.digest === 'string' && isCount(value.lines)
}
