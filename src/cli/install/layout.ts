import { rm, utimes } from 'node:fs/promises'
import path from 'node:path'
import { executableName, type Gate, gateText } from './gate.ts'
import {
  copyOwn,
  isInstalledFile,
  isOwnCopy,
  NAME,
  ownDigest,
  type PluginPlace,
  putFile,
  statOf,
  syncDirectory,
  writeNew,
} from './install-file.ts'
import { type Installed, ledToIn } from './installed.ts'
import { isComplete, putSelfContained, type SelfContained } from './self-contained.ts'

/**
 * What is under the plugin's name: the executable itself, or a gate that lets `atOnce` calls through at once; with 0, no
 * call waits. A gate may lead to a plugin that needs nothing of the node.
 */
export type Layout = { readonly atOnce: number; readonly selfContained?: SelfContained } | 'no gate'

/** Checks that a file answers as the plugin must, before a runtime gets to see it. @throws Trouble */
export type Ask = (file: string) => Promise<void>

/** Whether all of it is already there, byte for byte. */
export async function isLaidOut(
  place: PluginPlace,
  { stat, gate, executable }: Installed,
  layout: Layout,
  signal: AbortSignal,
): Promise<boolean> {
  if (!isInstalledFile(stat)) return false
  if (layout === 'no gate') return gate === undefined && (await isOwnCopy(executable, stat, [], signal))
  const { atOnce, selfContained } = layout
  if (!isOwnGate(gate, await nameIn(layout, signal), atOnce)) return false
  if (selfContained) return isComplete(place, selfContained, signal)
  return hasOwnCopy(path.join(place.directory, await nameIn(layout, signal)), signal)
}

function isOwnGate(gate: Gate | undefined, name: string, atOnce: number): boolean {
  return gate?.intact === true && gate.executable === name && gate.atOnce === atOnce
}

async function hasOwnCopy(file: string, signal: AbortSignal): Promise<boolean> {
  const stat = await statOf(file)
  return isInstalledFile(stat) && isOwnCopy(file, stat, [], signal)
}

/** What a gate leads to, in the plugin directory. */
async function nameIn({ selfContained }: Exclude<Layout, 'no gate'>, signal: AbortSignal): Promise<string> {
  return selfContained ? `${selfContained.name}/${NAME}` : executableName(await ownDigest([], signal))
}

/**
 * Puts the running executable where the runtime finds it. At every instant the plugin is the old one or the new one: the
 * executable comes first, which nobody looks for yet, and its gate last. removeSuperseded removes what this replaces.
 */
export async function layOut(place: PluginPlace, layout: Layout, ask: Ask, signal: AbortSignal): Promise<void> {
  const { directory, file } = place
  if (layout === 'no gate') {
    await putFile(directory, file, (temporary) => copyOwn(temporary, [], signal), ask)
  } else {
    const { atOnce, selfContained } = layout
    const name = await nameIn(layout, signal)
    const behind = path.join(directory, selfContained?.name ?? name)
    const wasThere = (await statOf(behind)) !== undefined
    try {
      if (selfContained) await putSelfContained(place, selfContained, signal)
      else await putExecutable(place, behind, signal)
      const text = gateText(name, atOnce, selfContained?.path)
      await putFile(directory, file, (temporary) => writeNew(temporary, text), ask)
    } catch (error) {
      if (!wasThere) await takeAway(directory, behind)
      throw error
    }
  }
  await syncDirectory(directory)
}

async function putExecutable({ directory }: PluginPlace, file: string, signal: AbortSignal): Promise<void> {
  // An older install may have left it: then it must not be removed as old now.
  if (await hasOwnCopy(file, signal)) await utimes(file, new Date(), new Date())
  else await putFile(directory, file, (temporary) => copyOwn(temporary, [], signal))
}

/** Removes what we have put there for a gate that did not answer, unless another install has a gate that leads there. */
async function takeAway(directory: string, behind: string): Promise<void> {
  const needed = await ledToIn(directory).catch(() => undefined)
  if (needed?.has(behind) === false) await rm(behind, { recursive: true, force: true })
}
