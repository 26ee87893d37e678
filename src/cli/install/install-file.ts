import { createHash, randomBytes } from 'node:crypto'
import { constants, readSync, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, readlink, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../../errors.ts'
import { Trouble } from '../command.ts'
import type { Edit, Read } from './elf.ts'
import { trustedPath, weaknessOf } from './trusted-path.ts'

/** The "type" of the plugin in a network configuration, and so the name of its file. */
export const NAME = 'x-calico-route'

/** Where container runtimes look for plugins by default. */
export const PLUGIN_DIRECTORY = '/opt/cni/bin'

/** The running executable, even if its file has been replaced or removed. */
export const OWN_EXECUTABLE = '/proc/self/exe'

const CHUNK = 1024 * 1024

/** A plugin directory, below the root directory of its node. */
export interface PluginPlace {
  readonly directory: string
  /** The plugin in it. */
  readonly file: string
  /** Where the node's root directory is mounted; undefined if it is our own. */
  readonly hostRoot: string | undefined
}

/**
 * The plugin directory that `directory` names on the node, if only root can write there.
 * @param option the option that names it, for messages
 * @throws Trouble if there is no such directory, or others can write there
 */
export async function pluginPlaceOf(
  option: string,
  directory: string,
  hostRoot: string | undefined,
): Promise<PluginPlace> {
  const advice = 'give the directory where the runtime looks for plugins'
  const { root, real } = await directoryOnNode(option, directory, hostRoot, advice)
  return { directory: real, file: path.join(real, NAME), hostRoot: root }
}

/**
 * Where a directory of the node is for us, if only root can make it lead elsewhere. Its links lead where they lead there.
 * @param advice what to do if there is none
 * @throws Trouble
 */
export async function directoryOnNode(option: string, directory: string, hostRoot: string | undefined, advice: string) {
  const root =
    hostRoot === undefined
      ? undefined
      : await existing('--host-root', path.resolve(hostRoot), "mount the node's root directory there")
  return { root, real: await existing(option, path.resolve(root === undefined ? '' : '/', directory), advice, root) }
}

async function existing(option: string, directory: string, advice: string, root = '/'): Promise<string> {
  const file = path.join(root, directory)
  try {
    const real = await trustedPath(option, directory, root)
    if ((await lstat(real)).isDirectory()) return real
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') throw fileTrouble(file, error)
    throw new Trouble(`${option}: ${file} does not exist; ${advice}`)
  }
  throw new Trouble(`${option}: ${file} is not a directory; ${advice}`)
}

/** The status of the file itself, even if it is a link; undefined if it does not exist. */
export async function statOf(file: string): Promise<Stats | undefined> {
  try {
    return await lstat(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What a file is that is not a regular one, for a message. */
export async function kindOf(file: string, stat: Stats): Promise<string> {
  if (stat.isSymbolicLink()) return `a symbolic link to ${await readlink(file)}`
  return stat.isDirectory() ? 'a directory' : 'not a regular file'
}

/** Whether the file is a copy of the running executable, but for these edits. */
export async function isOwnCopy(
  file: string,
  { size }: Stats,
  edits: readonly Edit[],
  signal: AbortSignal,
): Promise<boolean> {
  if (size !== (await stat(OWN_EXECUTABLE)).size) return false
  return (await sha256(file, [], signal)) === (await ownDigest(edits, signal))
}

const digests = new Map<string, string>()

/** The SHA-256 of the running executable, which nobody can change while it runs, with these edits. */
export async function ownDigest(edits: readonly Edit[], signal: AbortSignal): Promise<string> {
  const key = edits.map(({ offset, bytes }) => `${offset} ${bytes.toString('hex')}`).join()
  const digest = digests.get(key) ?? (await sha256(OWN_EXECUTABLE, edits, signal))
  digests.set(key, digest)
  return digest
}

async function sha256(file: string, edits: readonly Edit[], signal: AbortSignal): Promise<string> {
  return withFile(file, constants.O_RDONLY, async (handle) => {
    const hash = createHash('sha256')
    for await (const chunk of chunks(handle, signal, edits)) hash.update(chunk)
    return hash.digest('hex')
  })
}

/** Looks into the running executable. */
export async function readOwn<T>(use: (read: Read) => T): Promise<T> {
  return withFile(OWN_EXECUTABLE, constants.O_RDONLY, async ({ fd }) =>
    use((offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
    }),
  )
}

/** At most `length` bytes from the beginning of a file. */
export function firstBytes(file: string, length: number): Promise<Buffer> {
  return withFile(file, constants.O_RDONLY, async (handle) => {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  })
}

/** Whether a file is as install makes it: a regular file that everybody may run and only its owner may write. */
export function isInstalledFile(stat: Stats | undefined): stat is Stats {
  return stat?.isFile() === true && (stat.mode & 0o7777) === 0o755 && weaknessOf('', stat) === undefined
}

/**
 * Reads a file to its end, so that the page cache holds it. The kernel charges a page to the cgroup that first read it, for
 * as long as it stays. So those who run the file pay nothing for it.
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html "Memory Ownership"
 */
export async function readThrough(file: string, signal: AbortSignal): Promise<void> {
  await withFile(file, constants.O_RDONLY, async (handle) => {
    for await (const _ of chunks(handle, signal));
  })
}

/**
 * Copies the running executable to a new file on the disk, with these edits, and reads it back.
 * @throws Trouble, and the errors of the file system
 */
export async function copyOwn(file: string, edits: readonly Edit[], signal: AbortSignal): Promise<void> {
  const copied = await withFile(OWN_EXECUTABLE, constants.O_RDONLY, (from) =>
    withFile(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, async (to) => {
      const hash = createHash('sha256')
      for await (const chunk of chunks(from, signal, edits)) {
        hash.update(chunk)
        await to.writeFile(chunk)
      }
      // Regardless of the umask.
      await to.chmod(0o755)
      await to.sync()
      return hash.digest('hex')
    }),
  )
  if ((await sha256(file, [], signal)) !== copied) {
    throw new Trouble('the copy differs from what was written; the disk may be failing, see dmesg; nothing was changed')
  }
}

/** Makes new entries survive a power failure. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    await withFile(directory, constants.O_RDONLY | constants.O_DIRECTORY, (handle) => handle.sync())
  } catch (error) {
    // EINVAL: the file system cannot sync directories.
    if (codeOf(error) === 'EINVAL') return
    throw new Trouble(`${directory}: changed, but the disk did not confirm it (${messageOf(error)}); see dmesg`)
  }
}

/** Beside the plugin, because rename(2) is atomic only within a file system. */
export function temporaryIn(directory: string): string {
  return path.join(directory, `.${NAME}.${randomBytes(6).toString('hex')}.tmp`)
}

/** Writes something short to a new executable file on the disk. */
export async function writeNew(file: string, content: string | Buffer): Promise<void> {
  await withFile(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, async (handle) => {
    await handle.writeFile(content)
    // Regardless of the umask.
    await handle.chmod(0o755)
    await handle.sync()
  })
}

/** Puts a file where it belongs in one step: a reader finds the old one or the new one, or none if there was none. */
export async function putFile(
  directory: string,
  file: string,
  write: (file: string) => Promise<void>,
  check: (file: string) => Promise<void> = async () => {},
): Promise<void> {
  const temporary = temporaryIn(directory)
  try {
    await write(temporary)
    await check(temporary)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function withFile<T>(file: string, flags: number, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(file, flags, 0o700)
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}

async function* chunks(handle: FileHandle, signal: AbortSignal, edits: readonly Edit[] = []): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK)
  for (let start = 0; ; ) {
    if (signal.aborted) throw new Trouble('interrupted; nothing was changed')
    const { bytesRead } = await handle.read(buffer, 0, CHUNK)
    if (bytesRead === 0) return
    const chunk = buffer.subarray(0, bytesRead)
    for (const { offset, bytes } of edits) {
      const at = offset - start
      // It may begin in one chunk and end in the next.
      if (at < bytesRead && at + bytes.length > 0) bytes.copy(chunk, Math.max(at, 0), Math.max(-at, 0))
    }
    yield chunk
    start += bytesRead
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}

const ADVICE: Readonly<Record<string, string | undefined>> = {
  EACCES: 'permission denied; run this as root',
  EPERM: 'not permitted; run this as root, and check whether the file or its directory is immutable (lsattr)',
  ENOENT: 'it or its directory was removed meanwhile; try again',
  EROFS: 'the file system is read-only; mount it read-write, or give a writable directory',
  ENOSPC: 'no space left on the file system; free some (see df)',
  EDQUOT: 'the disk quota is used up; raise it, or free some space',
  EBUSY: 'it is a mount point; unmount it, or mount its directory instead',
}

/** Turns an error of the file system into a Trouble that says what to do. Returns other errors unchanged. */
export function fileTrouble(file: string, error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof Trouble || typeof code !== 'string') return error
  return new Trouble(`${file}: ${ADVICE[code] ?? messageOf(error)}; nothing was changed`)
}
