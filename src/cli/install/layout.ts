import { rename, rm, utimes } from 'node:fs/promises'
import path from 'node:path'
import { executableName, type Gate, gateText } from './gate.ts'
import {
  copyOwn,
  isInstalledFile,
  isOwnCopy,
  ownDigest,
  type PluginPlace,
  statOf,
  syncDirectory,
  temporaryIn,
  writeScript,
} from './install-file.ts'
import type { Installed } from './installed.ts'

/**
 * What is under the plugin's name: the executable itself, or a gate that lets `atOnce` calls through at once; with 0, no
 * call waits.
 */
export type Layout = { readonly atOnce: number } | 'no gate'

/** Checks that a file answers as the plugin must, before a runtime gets to see it. @throws Trouble */
export type Ask = (file: string) => Promise<void>

/** Whether all of it is already there, byte for byte. */
export async function isLaidOut(
  { directory }: PluginPlace,
  { stat, gate, executable }: Installed,
  layout: Layout,
  signal: AbortSignal,
): Promise<boolean> {
  if (!isInstalledFile(stat)) return false
  if (layout === 'no gate') return gate === undefined && (await isOwnCopy(executable, stat, signal))
  if (!isOwnGate(gate, await ownName(signal), layout.atOnce)) return false
  return hasOwnCopy(path.join(directory, await ownName(signal)), signal)
}

function isOwnGate(gate: Gate | undefined, name: string, atOnce: number): boolean {
  return gate?.intact === true && gate.executable === name && gate.atOnce === atOnce
}

async function hasOwnCopy(file: string, signal: AbortSignal): Promise<boolean> {
  const stat = await statOf(file)
  return isInstalledFile(stat) && isOwnCopy(file, stat, signal)
}

const ownName = async (signal: AbortSignal) => executableName(await ownDigest(signal))

/**
 * Puts the running executable where the runtime finds it. At every instant the plugin is the old one or the new one: the
 * executable comes first, which nobody looks for yet, and its gate last. removeSuperseded removes what this replaces.
 */
export async function layOut(place: PluginPlace, layout: Layout, ask: Ask, signal: AbortSignal): Promise<void> {
  const { directory, file } = place
  if (layout === 'no gate') {
    await replace(place, file, ask, (temporary) => copyOwn(temporary, signal))
  } else {
    const name = await ownName(signal)
    const added = await putExecutable(place, path.join(directory, name), signal)
    try {
      const text = gateText(name, layout.atOnce)
      await replace(place, file, ask, (temporary) => writeScript(temporary, text))
    } catch (error) {
      if (added) await rm(path.join(directory, name), { force: true })
      throw error
    }
  }
  await syncDirectory(directory)
}

/** @returns whether it was not there before */
async function putExecutable(place: PluginPlace, file: string, signal: AbortSignal): Promise<boolean> {
  if (await hasOwnCopy(file, signal)) {
    // An older install may have left it: then it must not be removed as old now.
    await utimes(file, new Date(), new Date())
    return false
  }
  await replace(
    place,
    file,
    async () => {},
    (temporary) => copyOwn(temporary, signal),
  )
  return true
}

async function replace(
  { directory }: PluginPlace,
  file: string,
  ask: Ask,
  write: (file: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryIn(directory)
  try {
    await write(temporary)
    await ask(temporary)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
