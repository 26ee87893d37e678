import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { type PluginPlace, statOf } from './install-file.ts'
import { executablesIn, isElf, ledToIn, lookAtInstalled } from './installed.ts'

const TEMPORARY = /^\.x-calico-route\.[0-9a-f]{12}\.tmp$/

/**
 * No install takes longer, and no call waits longer at a gate. A younger file may belong to an install that still runs, or
 * to a gate that a call read before it was replaced.
 */
const LEFT_OVER_AFTER_MS = 10 * 60 * 1000

/** Removes the temporary files of installs that were killed. */
export function removeTemporaries({ directory }: PluginPlace): Promise<void> {
  return removeOld(() => temporariesIn(directory))
}

/** Removes executables that no gate leads to any more. */
export function removeSuperseded(place: PluginPlace): Promise<void> {
  return removeOld(() => supersededIn(place))
}

async function removeOld(find: () => Promise<string[]>): Promise<void> {
  try {
    for (const file of await find()) {
      const found = await statOf(file)
      // Nobody else's, whatever its name.
      const isOurs = isDirectoryOfOurs(file) ? found?.isDirectory() : found?.isFile()
      if (found && isOurs && isOld(found)) await rm(file, { recursive: true })
    }
  } catch {
    // Another install was faster, or nothing can be removed here. Then writing the new file fails and says why.
  }
}

/** By its name: that of a plugin that brings what it needs. */
const isDirectoryOfOurs = (file: string) => file.endsWith('.d')

/** In the directory itself, and in those of plugins that bring what they need. */
async function temporariesIn(directory: string): Promise<string[]> {
  const places = [directory, ...(await executablesIn(directory)).filter(isDirectoryOfOurs)]
  const found = await Promise.all(
    places.map(async (place) => (await readdir(place)).map((name) => ({ name, file: path.join(place, name) }))),
  )
  return found.flat().flatMap(({ name, file }) => (TEMPORARY.test(name) ? [file] : []))
}

/**
 * None while the plugin itself is young: calls may still wait at the gate that it replaced. None either if the plugin is
 * somebody's own script or link, which may lead to any of them. An executable that any gate leads to is still needed.
 */
async function supersededIn(place: PluginPlace): Promise<string[]> {
  const { stat, gate } = await lookAtInstalled(place)
  if (gate?.intact === false || (stat !== undefined && !isOld(stat))) return []
  if (stat !== undefined && gate === undefined && !(stat.isFile() && (await isElf(place.file)))) return []
  const needed = await ledToIn(place.directory)
  return (await executablesIn(place.directory)).filter((file) => !needed.has(file))
}

/** layout.ts makes an executable, or its directory, young when it uses it again. */
function isOld({ mtimeMs }: { mtimeMs: number }): boolean {
  return Date.now() - mtimeMs > LEFT_OVER_AFTER_MS
}
