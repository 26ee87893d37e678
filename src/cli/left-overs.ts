import { readdir, unlink } from 'node:fs/promises'
import path from 'node:path'
import { type Place, statOf } from './install-file.ts'
import { executablesIn, isElf, ledToIn, lookAt } from './installed.ts'

const TEMPORARY = /^\.x-calico-route\.[0-9a-f]{12}\.tmp$/

/**
 * No install takes longer, and no call waits longer at a gate: a younger file may be that of an install that runs right now, or
 * what a gate becomes that was read before it was replaced.
 */
const LEFT_OVER_AFTER_MS = 10 * 60 * 1000

/** Removes the temporary files of installs that were killed. */
export function removeTemporaries({ directory }: Place): Promise<void> {
  return removeOld(() => temporariesIn(directory))
}

/** Removes executables that no gate leads to any more. */
export function removeSuperseded(place: Place): Promise<void> {
  return removeOld(() => supersededIn(place))
}

async function removeOld(find: () => Promise<string[]>): Promise<void> {
  try {
    for (const file of await find()) {
      const found = await statOf(file)
      if (found?.isFile() && isOld(found)) await unlink(file)
    }
  } catch {
    // Another install was faster, or nothing can be removed here: then the new file says why.
  }
}

async function temporariesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => TEMPORARY.test(name)).map((name) => path.join(directory, name))
}

/**
 * Nothing until the plugin itself is old: until then calls may wait at the gate that it replaced. Nor where it is somebody's
 * own script or link, which may lead to any of them; or to one by a gate of another name.
 */
async function supersededIn(place: Place): Promise<string[]> {
  const { stat, gate } = await lookAt(place)
  if (gate?.intact === false || (stat !== undefined && !isOld(stat))) return []
  if (stat !== undefined && gate === undefined && !(stat.isFile() && (await isElf(place.file)))) return []
  const needed = await ledToIn(place.directory)
  return (await executablesIn(place.directory)).filter((file) => !needed.has(file))
}

/** Who puts an executable to use again makes it young, see layout.ts. */
function isOld({ mtimeMs }: { mtimeMs: number }): boolean {
  return Date.now() - mtimeMs > LEFT_OVER_AFTER_MS
}
