import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, utimes } from 'node:fs/promises'
import path from 'node:path'
import { Trouble } from '../command.ts'
import { type Edit, interpreterEdit, loaderEdits, type Read } from './elf.ts'
import {
  copyOwn,
  isInstalledFile,
  isOwnCopy,
  NAME,
  ownDigest,
  type PluginPlace,
  putFile,
  readOwn,
  statOf,
  syncDirectory,
  writeNew,
} from './install-file.ts'

/** Where the image has what a node may lack. scripts/image/node-tools.sh makes it. */
export const PARTS = '/usr/libexec/x-calico-route'

/** What is laid out for a node that lacks something: a directory with all that a call needs but the kernel. */
export interface SelfContained {
  /** Its name in the plugin directory, made of a hash of all that is in it. */
  readonly name: string
  /** Its path for those who run it: that on the node. */
  readonly path: string
  /** The loader, the libraries and the tools, as they will be. */
  readonly parts: readonly { readonly name: string; readonly bytes: Buffer }[]
  /** What differs between this executable and the one in there. */
  readonly edits: readonly Edit[]
}

/** A longer path, with `#!` before and `/sh` behind it, is cut off by kernels before 5.1. @see execve(2) */
const LONGEST = 127 - '#!'.length - '/sh'.length

/** Whether this is the image, which has what a node may lack. */
export async function hasParts(): Promise<boolean> {
  return (await statOf(PARTS))?.isDirectory() === true
}

/** @throws Trouble where the parts are missing, or the plugin directory is not one that a gate can name */
export async function selfContainedFor(place: PluginPlace, signal: AbortSignal): Promise<SelfContained> {
  if (!(await hasParts()))
    throw new Trouble(
      `--self-contained: ${PARTS} is missing, which has the loader, the libraries and the tools; run install in the image of ${NAME}, which has it; nothing was changed`,
    )
  const onNode = place.hostRoot === undefined ? place.directory : `/${path.relative(place.hostRoot, place.directory)}`
  const originals = await Promise.all(
    (await readdir(PARTS)).sort().map(async (name) => ({ name, bytes: await readFile(path.join(PARTS, name)) })),
  )
  const hash = createHash('sha256').update(`${await ownDigest([], signal)}\n${onNode}\n`)
  for (const { name, bytes } of originals) hash.update(`${name} ${bytes.length}\n`).update(bytes)
  const name = `.${NAME}-${hash.digest('hex').slice(0, 16)}.d`
  const directory = path.join(onNode, name)
  if (directory.length > LONGEST || /\s/.test(directory))
    throw new Trouble(
      `${place.directory}: its path has a space or is too long for the first line of a script, which has room for ${LONGEST - name.length - 1} characters; give another directory; nothing was changed`,
    )
  const parts = originals.map(({ name, bytes }) => ({ name, bytes: edited(bytes, directory) }))
  return { name, path: directory, parts, edits: await readOwn((read) => loaderEdits(read, directory)) }
}

function edited(bytes: Buffer, directory: string): Buffer {
  const read: Read = (offset, length) => bytes.subarray(offset, offset + length)
  const edit = interpreterEdit(read, directory)
  edit?.bytes.copy(bytes, edit.offset)
  return bytes
}

/** Whether all of it is there, byte for byte. */
export async function isComplete(place: PluginPlace, one: SelfContained, signal: AbortSignal): Promise<boolean> {
  const directory = path.join(place.directory, one.name)
  for (const { name, bytes } of one.parts) if (!(await holds(path.join(directory, name), bytes))) return false
  return hasOwn(path.join(directory, NAME), one, signal)
}

async function holds(file: string, bytes: Buffer): Promise<boolean> {
  const stat = await statOf(file)
  return isInstalledFile(stat) && stat.size === bytes.length && (await readFile(file)).equals(bytes)
}

async function hasOwn(file: string, { edits }: SelfContained, signal: AbortSignal): Promise<boolean> {
  const stat = await statOf(file)
  return isInstalledFile(stat) && isOwnCopy(file, stat, edits, signal)
}

/**
 * Lays out what is missing of it. Nobody looks for any of it before there is a gate that leads there.
 * @returns how to take it away again, if it was not there before
 */
export async function putSelfContained(
  place: PluginPlace,
  one: SelfContained,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const directory = path.join(place.directory, one.name)
  const isNew = (await mkdir(directory, { recursive: true })) !== undefined
  const takeAway = async () => {
    if (isNew) await rm(directory, { recursive: true, force: true })
  }
  try {
    // Regardless of the umask.
    await chmod(directory, 0o755)
    await putMissing(directory, one, signal)
    return takeAway
  } catch (error) {
    await takeAway()
    throw error
  }
}

async function putMissing(directory: string, one: SelfContained, signal: AbortSignal): Promise<void> {
  for (const { name, bytes } of one.parts) {
    const file = path.join(directory, name)
    if (!(await holds(file, bytes))) await putFile(directory, file, (temporary) => writeNew(temporary, bytes))
  }
  const file = path.join(directory, NAME)
  if (!(await hasOwn(file, one, signal)))
    await putFile(directory, file, (temporary) => copyOwn(temporary, one.edits, signal))
  // An older install may have left it: then it must not be removed as old now.
  else await utimes(directory, new Date(), new Date())
  await syncDirectory(directory)
}
