import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { type Place, readThrough } from './install-file.ts'
import { lookAt } from './installed.ts'

/** A page that calls use stays by itself; this is for those that a shortage of memory took away. 20 ms of a processor for 100 MB. */
const EVERY_MS = 5 * 60 * 1000

/** No more than this, since it counts as memory of our own control group. */
const MOST_BYTES = 384 * 1024 * 1024

/**
 * Has the page cache hold the executables of a directory of plugins: ours, then the largest of the others. All plugins of thick
 * Multus run in the control group of its daemon. What they are the first to read, as after a reboot, is that group's, which
 * is full then: the processes take each other's code away, and read it again, without end.
 */
export function keepCached(where: () => Promise<Place>, signal: AbortSignal): () => Promise<void> {
  let next = 0
  return async () => {
    if (performance.now() < next) return
    next = performance.now() + EVERY_MS
    for (const file of await worthCaching(await where())) {
      try {
        await readThrough(file, signal)
      } catch {
        if (signal.aborted) return
        // It is gone, or cannot be read: then it is read when it is called, as without us.
      }
    }
  }
}

async function worthCaching(place: Place): Promise<string[]> {
  const { executable } = await lookAt(place)
  const files = new Map<string, { file: string; size: number }>()
  for (const name of await readdir(place.directory)) {
    const file = path.join(place.directory, name)
    const found = await stat(file).catch(() => undefined)
    // One by many names is read once.
    if (found?.isFile() && found.mode & 0o111) files.set(`${found.dev} ${found.ino}`, { file, size: found.size })
  }
  const others = [...files.values()].sort((a, b) => b.size - a.size)
  const ordered = [
    ...others.filter(({ file }) => file === executable),
    ...others.filter(({ file }) => file !== executable),
  ]
  let left = MOST_BYTES
  return ordered.flatMap(({ file, size }) => {
    if (size > left) return []
    left -= size
    return [file]
  })
}
