import { lstatSync } from 'node:fs'
import path from 'node:path'
import type { Asked } from '../verbs/repair.ts'
import { type Attachment, byRun, type CacheEntry, confsIn, entriesIn, type Pod, readEntry } from './result-cache.ts'

/** What the cache entries of a pod ask for. */
export interface Entries {
  /** In the order of the ADDs: libcni writes an entry after each. */
  readonly asked: readonly Asked[]
  /** Which entries there are, and when each was last written. */
  readonly fingerprint: string
}

/** @returns undefined if they are not what they were when the caches were read: the runtime is at work on the pod */
export function readAgain(pod: Pod): Entries | undefined {
  const files = filesOf(pod)
  const fingerprint = fingerprintOf(files)
  const attached = new Map<string, CacheEntry>()
  for (const file of files) {
    const read = readEntry(file)
    if (read === null || 'unreadable' in read) return undefined
    const { entry } = read
    if (entry.container === pod.container && entry.attached) attached.set(file, entry)
  }
  const isAsBefore = ({ file, ifname }: Attachment) => {
    const entry = attached.get(file)
    if (entry?.attached?.ifname !== ifname) return false
    return entry.netns === undefined || byRun(entry.netns) === byRun(pod.netns ?? '')
  }
  if (attached.size !== pod.attachments.length || !pod.attachments.every(isAsBefore)) return undefined
  const asked = inOrderOf(pod.attachments).flatMap(askedBy)
  return fingerprintOf(files) === fingerprint ? { asked, fingerprint } : undefined
}

function askedBy({ file, ifname }: Attachment): Asked[] {
  try {
    return confsIn(file).map((conf) => ({ conf, ifname }))
  } catch {
    return [] // it has changed, which the fingerprint shows
  }
}

/** Whether no runtime has written or removed an entry of the pod, or made another, since they were read. */
export function areUnchanged(pod: Pod, { fingerprint }: Entries): boolean {
  return fingerprintOf(filesOf(pod)) === fingerprint
}

function fingerprintOf(files: readonly string[]): string {
  const facts = files.map((file) => {
    const stat = statOf(file)
    return [file, stat?.ino, stat?.size, stat?.mtimeNs, stat?.ctimeNs].join(' ')
  })
  return facts.join('\n')
}

function inOrderOf(attachments: readonly Attachment[]): readonly Attachment[] {
  const written = new Map(attachments.map(({ file }) => [file, statOf(file)?.mtimeNs ?? 0n]))
  return attachments.toSorted((a, b) => Number((written.get(a.file) ?? 0n) - (written.get(b.file) ?? 0n)))
}

const statOf = (file: string) => lstatSync(file, { bigint: true, throwIfNoEntry: false })

/** The entries that a pod had, and those that it has by their names, in any of the caches. */
function filesOf({ container, attachments, caches }: Pod): string[] {
  const known = attachments.map(({ file }) => file)
  const named = entriesIn(caches).filter((file) => path.basename(file).includes(`-${container}-`))
  return [...new Set([...known, ...named])].sort()
}
