import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, utimes } from 'node:fs/promises'
import path from 'node:path'
import { Trouble } from '../command.ts'
import { type Edit, interpreterEdit, loaderEdits, loaderOf, type Read } from './elf.ts'
import { EXECUTABLE } from './gate.ts'
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

/** @throws Trouble if this executable is one that was laid out so: a copy of it would end with the loader that it names. */
export async function refuseLaidOut(): Promise<void> {
  const directory = path.dirname(await readOwn(loaderOf))
  if (EXECUTABLE.test(path.basename(directory)))
    throw new Trouble(
      `this executable only works with the loader in ${directory}, and so does a copy; run install in the image of ${NAME}; nothing was changed`,
    )
}

/** @throws Trouble where the parts are missing, the node's root directory is unknown, or the plugin directory is not one that a gate can name */
export async function selfContainedFor(place: PluginPlace, signal: AbortSignal): Promise<SelfContained> {
  const { directory: here, hostRoot } = place
  if (!(await hasParts()))
    throw new Trouble(
      `--self-contained: ${PARTS} is missing, which has the loader, the libraries and the tools; run install in the image of ${NAME}, which has it; nothing was changed`,
    )
  if (hostRoot === undefined)
    throw new Trouble(
      "--self-contained: needs --host-root, since the plugin has its path on the node written into it; mount the node's root directory and give --host-root; nothing was changed",
    )
  const onNode = `/${path.relative(hostRoot, here)}`
  const originals = await Promise.all(
    (await readdir(PARTS)).sort().map(async (name) => ({ name, bytes: await readFile(path.join(PARTS, name)) })),
  )
  const hash = createHash('sha256').update(`${await ownDigest([], signal)}\n${onNode}\n`)
  for (const { name, bytes } of originals) hash.update(`${name} ${bytes.length}\n`).update(bytes)
  const name = `.${NAME}-${hash.digest('hex').slice(0, 16)}.d`
  const directory = path.join(onNode, name)
  if (directory.length > LONGEST || /\s/.test(directory))
    throw new Trouble(
      `${here}: its path has a space or is too long for the first line of a script, which has room for ${LONGEST - name.length - 1} characters; give another directory; nothing was changed`,
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

/** Lays out what is missing of it. Nobody looks for any of it before there is a gate that leads there. */
export async function putSelfContained(place: PluginPlace, one: SelfContained, signal: AbortSignal): Promise<void> {
  const directory = path.join(place.directory, one.name)
  await mkdir(directory, { recursive: true })
  // Regardless of the umask.
  await chmod(directory, 0o755)
  // An older install may have left it: then it must not be removed as old now.
  await utimes(directory, new Date(), new Date())
  for (const { name, bytes } of one.parts) {
    const file = path.join(directory, name)
    if (!(await holds(file, bytes))) await putFile(directory, file, (temporary) => writeNew(temporary, bytes))
  }
  const file = path.join(directory, NAME)
  if (!(await hasOwn(file, one, signal)))
    await putFile(directory, file, (temporary) => copyOwn(temporary, one.edits, signal))
  await syncDirectory(directory)
}
