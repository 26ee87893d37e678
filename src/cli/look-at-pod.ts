import path from 'node:path'
import { isObject } from '../cni/request.ts'
import { CniError, Code, messageOf } from '../errors.ts'
import { parseAddress } from '../net/address.ts'
import { findDifferences } from '../verbs/check.ts'
import { podLook } from './node.ts'
import { netnsState, onThisSide, setsBelow } from './node-root.ts'
import { podNetns } from './pod-netns.ts'
import { type Attachment, confsIn } from './result-cache.ts'
import type { Nic } from './return-path.ts'

export const STATES = ['ok', 'differs', 'gone', 'unknown', 'error'] as const
export type State = (typeof STATES)[number]

/** What was seen of one attachment. */
export interface Seen {
  readonly state: State
  /** For `differs`, the first differences; for `error`, what failed. */
  readonly said: readonly string[]
  /** How many further differences there are. */
  readonly more: number
  /** The NIC that the node must have a return path to. */
  readonly nic?: Nic | undefined
}

/** Root in a pod decides how many differences there are, and how long each is. */
export const MAX_DIFFERENCES = 100
const MAX_LENGTH = 1000

export function seenAs(state: State, said: readonly string[] = [], nic?: Nic): Seen {
  return { state, ...cutShort(said), ...(nic ? { nic } : {}) }
}

/** What there is to say of a pod, as far as it is told. */
export function cutShort(said: readonly string[]): Pick<Seen, 'said' | 'more'> {
  return { said: said.slice(0, MAX_DIFFERENCES).map(cut), more: Math.max(0, said.length - MAX_DIFFERENCES) }
}

function cut(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}...` : text
}

/** Compares the pod of an attachment with its configuration. @param root where the node's root directory is mounted */
export async function lookAtPod({ file, netns: known, ifname, maker }: Attachment, root: string): Promise<Seen> {
  if (known === undefined) return seenAs('unknown', ['the cache entry names no netns'])
  const netns = onThisSide(root, known)
  const there = netnsState(root, known)
  if (there === 'gone') return seenAs('gone')
  if (there === 'hidden')
    return seenAs('error', [`${path.dirname(netns)}: does not exist here; mount it from the node, or give --root`])
  try {
    const confs = confsIn(file)
    const said: string[] = []
    const pod = podLook(ifname, maker)
    const outside = { withNetns: podNetns(root), readSet: setsBelow(root) }
    for (const conf of confs) said.push(...(await findDifferences({ conf, netns, ifname }, outside, pod.overhear)))
    return seenAs(said.length > 0 ? 'differs' : 'ok', said, pod.nic(confs[0]?.prevResult))
  } catch (error) {
    // The pod ended between the two looks, or before the entry was read again.
    const { code } = error as { code?: unknown }
    if (code === 'ENOENT' || (code === Code.invalidEnvironment && netnsState(root, known) === 'gone'))
      return seenAs('gone')
    return seenAs('error', [error instanceof CniError ? inWords(error) : messageOf(error)])
  }
}

export function inWords({ message, details }: CniError): string {
  return [message.replace(/^CNI_[A-Z]+: /, ''), details].filter(Boolean).join('; ')
}

/** Whether the answer of another process is of this type. */
export function isSeen(value: unknown): value is Seen {
  if (!isObject(value)) return false
  const { state, said, more, nic } = value
  return STATES.some((one) => one === state) && isTexts(said) && isCount(more) && (nic === undefined || isNic(nic))
}

function isNic(value: unknown): boolean {
  if (!isObject(value)) return false
  const { index, peer, hostNames, addresses } = value
  return (
    isCount(index) &&
    isCount(peer) &&
    isTexts(hostNames) &&
    isTexts(addresses) &&
    addresses.every((one) => parseAddress(one) !== undefined)
  )
}

export const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
