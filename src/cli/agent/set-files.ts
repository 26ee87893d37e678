import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { MAX_SET_BYTES } from '../../config/route-sets.ts'
import { Trouble } from '../command.ts'
import { wordsFor } from '../files.ts'
import { readFound } from '../found-file.ts'
import { directoryOnNode, fileTrouble, syncDirectory } from '../install/install-file.ts'
import { onThisSide } from '../node-root.ts'
import type { SetFile } from './plan-sets.ts'

/** What kubelet calls the link that it turns to each new version of a ConfigMap, all files at once. */
const DATA = '..data'

/** More files are no sets that somebody wrote. */
const MAX_FILES = 1000

/** All files of a directory of sets, of one version. */
export interface SetDirectory {
  /** Another text whenever the files may have changed. */
  readonly version: string
  readonly files: readonly SetFile[]
}

/**
 * What tells one version of a directory of sets from the next, without reading a file of it.
 * @returns the version, and whether all its files came there in one step
 * @throws Trouble
 */
export function versionOf(directory: string): { readonly version: string; readonly whole: boolean } {
  return inDirectory(directory, () => {
    const data = linkOf(directory)
    if (data !== undefined) return { version: data, whole: true }
    const names = namesIn(directory)
    const stats = names.map((name) => textOf(lstatSync(path.join(directory, name), { throwIfNoEntry: false })))
    return { version: names.map((name, index) => `${name} ${stats[index]}`).join('\n'), whole: false }
  })
}

/** @throws Trouble, also if the files changed while they were read */
export function readSets(directory: string, links: 'follow' | 'refuse'): SetDirectory {
  const { version, whole } = versionOf(directory)
  const files = inDirectory(directory, () => {
    // kubelet removes a version only after the link has turned away from it.
    const real = whole ? path.join(directory, version) : directory
    return namesIn(real).map((name) => ({ name, read: readOne(path.join(real, name), links) }))
  })
  if (versionOf(directory).version !== version) throw new Trouble(`${directory}: changed while it was read`)
  return { version, files }
}

function readOne(file: string, links: 'follow' | 'refuse'): SetFile['read'] {
  try {
    return { text: readFound(file, links, MAX_SET_BYTES).toString() }
  } catch (error) {
    return { unreadable: wordsFor(error) }
  }
}

/** Hidden files are kubelet's, an editor's, or our own on their way. */
function namesIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => !name.startsWith('.'))
  if (names.length > MAX_FILES) throw new Trouble(`${directory}: has ${names.length} files; the limit is ${MAX_FILES}`)
  return names.sort()
}

function linkOf(directory: string): string | undefined {
  const link = path.join(directory, DATA)
  return lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(link) : undefined
}

const textOf = (found: Stats | undefined) =>
  found ? [found.ino, found.size, found.mtimeMs, found.ctimeMs].join(' ') : ''

function inDirectory<T>(directory: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    throw error instanceof Trouble ? error : new Trouble(`${directory}: ${wordsFor(error)}`, { cause: error })
  }
}

/**
 * The directory of the node that sets are copied to, made if it is not there.
 * @throws Trouble if others than root can change it, and so what routes pods get
 */
export async function targetDirectory(directory: string, hostRoot: string | undefined): Promise<string> {
  const here = onThisSide(hostRoot ?? '/', directory)
  try {
    if (!existsSync(here)) await mkdir(here, { recursive: true, mode: 0o755 })
  } catch (error) {
    throw fileTrouble(here, error)
  }
  return (await directoryOnNode('--sets-to', directory, hostRoot, 'make it')).real
}

/** Puts a set into a directory in one step. @throws Trouble: the old one is still there */
export async function writeSet(directory: string, name: string, text: string): Promise<void> {
  const file = path.join(directory, name)
  const temporary = path.join(directory, `.${name}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await writeAndSync(temporary, text)
    await rename(temporary, file)
    await syncDirectory(directory)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw fileTrouble(file, error)
  }
}

async function writeAndSync(file: string, text: string): Promise<void> {
  const handle: FileHandle = await open(file, 'wx', 0o644)
  try {
    await handle.writeFile(text)
    // Regardless of the umask: `verify` and `plan` may be called by others.
    await handle.chmod(0o644)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** @throws Trouble */
export async function removeSet(directory: string, name: string): Promise<void> {
  const file = path.join(directory, name)
  try {
    await unlink(file)
    await syncDirectory(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileTrouble(file, error)
  }
}

const TEMPORARY = /^\.[a-z0-9-]+\.[0-9a-f]{12}\.tmp$/
/** No set takes longer to write; a younger file may be another agent's. */
const LEFT_OVER_AFTER_MS = 10 * 60 * 1000

/** Removes the temporary files of agents that were killed. */
export async function removeLeftOvers(directory: string): Promise<void> {
  for (const name of readdirSync(directory).filter((one) => TEMPORARY.test(one))) {
    const file = path.join(directory, name)
    const found = await stat(file).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > LEFT_OVER_AFTER_MS) await rm(file, { force: true })
  }
}

/** When a file was last written, in seconds since the epoch. */
export function changedAt(directory: string, name: string): number | undefined {
  const found = lstatSync(path.join(directory, name), { throwIfNoEntry: false })
  return found && Math.floor(found.mtimeMs / 1000)
}
