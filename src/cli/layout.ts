import { rename, rm, utimes } from 'node:fs/promises'
import path from 'node:path'
import { executableName, type Gate, gateText } from './gate.ts'
import {
  copyOwn,
  isInstalledFile,
  isOwnCopy,
  ownDigest,
  type Place,
  statOf,
  syncDirectory,
  temporaryIn,
  writeScript,
} from './install-file.ts'
import type { Installed } from './installed.ts'

/**
 * How the plugin is laid out: the executable itself under its name, or a gate that so many calls at once get through; 0: it stands
 * open.
 */
export type Layout = { readonly atOnce: number } | 'no gate'

/** Has a file answer as the plugin must, before a runtime gets to see it. @throws Trouble */
export type Ask = (file: string) => Promise<void>

/** Whether all of it is there already, to the last byte. */
export async function isLaidOut(
  { directory }: Place,
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
 * Puts the running executable where the runtime finds it, so that at every instant the plugin is the old one or the new one:
 * first what the gate becomes, which nobody looks for yet, and the gate last. What it replaces is left to removeSuperseded.
 */
export async function layOut(place: Place, layout: Layout, ask: Ask, signal: AbortSignal): Promise<void> {
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
async function putExecutable(place: Place, file: string, signal: AbortSignal): Promise<boolean> {
  if (await hasOwnCopy(file, signal)) {
    // Of a version that was here before, and may be about to be removed as old.
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
  { directory }: Place,
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
