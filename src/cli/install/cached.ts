import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { type PluginPlace, readThrough } from './install-file.ts'
import { lookAtInstalled, partsOf } from './installed.ts'

/**
 * Pages that calls use stay in memory by themselves; this brings back those that the kernel reclaimed when memory was
 * short. It takes 20 ms of CPU time for 100 MB.
 */
const EVERY_MS = 5 * 60 * 1000

/** The pages are charged to our own cgroup. */
const MAX_BYTES = 384 * 1024 * 1024

/**
 * Keeps the executables of a plugin directory in the page cache: ours, then the others, largest first. All plugins of
 * thick Multus run in the cgroup of its daemon. Pages that they are the first to read, as after a reboot, are charged to
 * that cgroup. It is full then, and the processes evict each other's code and read it again, without end.
 */
export function keepCached(where: () => Promise<PluginPlace>, signal: AbortSignal): () => Promise<void> {
  let next = 0
  return async () => {
    if (performance.now() < next) return
    next = performance.now() + EVERY_MS
    for (const file of await worthCaching(await where())) {
      try {
        await readThrough(file, signal)
      } catch {
        if (signal.aborted) return
        // It is gone, or cannot be read. Then the first call reads it, as it would without us.
      }
    }
  }
}

async function worthCaching(place: PluginPlace): Promise<string[]> {
  const installed = await lookAtInstalled(place)
  const { executable } = installed
  const files = new Map<string, { file: string; size: number }>()
  const names = (await readdir(place.directory)).map((name) => path.join(place.directory, name))
  for (const file of [...(await partsOf(installed)), ...names]) {
    const found = await stat(file).catch(() => undefined)
    // A file with several names is read once.
    if (found?.isFile() && found.mode & 0o111) files.set(`${found.dev} ${found.ino}`, { file, size: found.size })
  }
  const others = [...files.values()].sort((a, b) => b.size - a.size)
  const ordered = [
    ...others.filter(({ file }) => file === executable),
    ...others.filter(({ file }) => file !== executable),
  ]
  let left = MAX_BYTES
  return ordered.flatMap(({ file, size }) => {
    if (size > left) return []
    left -= size
    return [file]
  })
}
