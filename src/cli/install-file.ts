import { createHash, randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, readlink, stat } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../errors.ts'
import { Trouble } from './command.ts'
import { trustedPath, weaknessOf } from './trusted-path.ts'

/** The name under which a network configuration asks for the plugin: its "type". */
export const NAME = 'x-calico-route'

/** Where the container runtimes look for plugins, unless told otherwise. */
export const PLUGIN_DIRECTORY = '/opt/cni/bin'

/** What runs at this moment, also when its file is replaced or gone. */
export const OWN = '/proc/self/exe'

const CHUNK = 1024 * 1024

/** A directory of plugins, below the root directory of the node it belongs to. */
export interface Place {
  readonly directory: string
  /** The plugin in it. */
  readonly file: string
  /** Where the node's root directory is mounted. Undefined: it is our own. */
  readonly hostRoot: string | undefined
}

/**
 * The place that `directory` names on the node, where nobody but root can put anything.
 * @param option which option names it, for the message
 * @throws Trouble if there is no such directory, or others can write there
 */
export async function placeOf(option: string, directory: string, hostRoot: string | undefined): Promise<Place> {
  const root =
    hostRoot === undefined ? undefined : await existing('--host-root', hostRoot, "mount the node's root there")
  const named = root === undefined ? path.resolve(directory) : path.join(root, path.resolve('/', directory))
  const real = await existing(option, named, 'give the one the runtime takes plugins from')
  // An absolute link of the node's leads into our own root directory, where no runtime of the node would look.
  if (root !== undefined && path.relative(root, real).startsWith('..')) {
    throw new Trouble(
      `${option}: ${named} leads out of ${root}, to ${real}; give the directory that the node means by it`,
    )
  }
  return { directory: real, file: path.join(real, NAME), hostRoot: root }
}

async function existing(option: string, directory: string, advice: string): Promise<string> {
  try {
    const real = await trustedPath(option, directory)
    if ((await lstat(real)).isDirectory()) return real
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') throw fileTrouble(directory, error)
    throw new Trouble(`${option}: there is no directory ${directory}; ${advice}`)
  }
  throw new Trouble(`${option}: ${directory} is not a directory; ${advice}`)
}

/** Of the file itself, be it a link; undefined if there is none. */
export async function statOf(file: string): Promise<Stats | undefined> {
  try {
    return await lstat(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What a file is that is no regular one, for a message. */
export async function kindOf(file: string, stat: Stats): Promise<string> {
  if (stat.isSymbolicLink()) return `a symbolic link to ${await readlink(file)}`
  return stat.isDirectory() ? 'a directory' : 'no regular file'
}

/** Whether the file is a copy of the running executable. */
export async function isOwnCopy(file: string, { size }: Stats, signal: AbortSignal): Promise<boolean> {
  if (size !== (await stat(OWN)).size) return false
  return (await sha256(file, signal)) === (await ownDigest(signal))
}

let digest: string | undefined

/** Of the running executable, which nobody can change while it runs. */
export async function ownDigest(signal: AbortSignal): Promise<string> {
  digest ??= await sha256(OWN, signal)
  return digest
}

async function sha256(file: string, signal: AbortSignal): Promise<string> {
  return withFile(file, constants.O_RDONLY, async (handle) => {
    const hash = createHash('sha256')
    for await (const chunk of chunks(handle, signal)) hash.update(chunk)
    return hash.digest('hex')
  })
}

/** What stands at the beginning of a file. */
export function headOf(file: string, length: number): Promise<Buffer> {
  return withFile(file, constants.O_RDONLY, async (handle) => {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  })
}

/** Whether a file is what install makes: a regular one that everybody may start, and nobody but its owner write. */
export function isInstalledFile(stat: Stats | undefined): stat is Stats {
  return stat?.isFile() === true && (stat.mode & 0o7777) === 0o755 && weaknessOf('', stat) === undefined
}

/**
 * Reads a file to its end, for the page cache to hold it. The kernel charges a page to the control group of who first had it
 * read, as long as it stays: so whoever runs the file pays nothing for it.
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html "Memory Ownership"
 */
export async function readThrough(file: string, signal: AbortSignal): Promise<void> {
  await withFile(file, constants.O_RDONLY, async (handle) => {
    for await (const _ of chunks(handle, signal));
  })
}

/**
 * Copies the running executable into a new file, to the disk, and reads it back.
 * @throws Trouble, and what the file system says
 */
export async function copyOwn(file: string, signal: AbortSignal): Promise<void> {
  const copied = await withFile(OWN, constants.O_RDONLY, (from) =>
    withFile(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, async (to) => {
      const hash = createHash('sha256')
      for await (const chunk of chunks(from, signal)) {
        hash.update(chunk)
        await to.writeFile(chunk)
      }
      // Whatever the umask.
      await to.chmod(0o755)
      await to.sync()
      return hash.digest('hex')
    }),
  )
  if ((await sha256(file, signal)) !== copied) {
    throw new Trouble('the copy does not hold what was written to it; look at the disk (dmesg); nothing was changed')
  }
}

/** So that the new entry outlives a loss of power, too. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    await withFile(directory, constants.O_RDONLY | constants.O_DIRECTORY, (handle) => handle.sync())
  } catch (error) {
    // EINVAL: a file system that has no such thing.
    if (codeOf(error) === 'EINVAL') return
    throw new Trouble(`${directory}: changed, but the disk did not confirm it (${messageOf(error)}); look at dmesg`)
  }
}

/** Beside the plugin, since rename(2) is atomic within one file system only. */
export function temporaryIn(directory: string): string {
  return path.join(directory, `.${NAME}.${randomBytes(6).toString('hex')}.tmp`)
}

/** Writes a small text into a new executable file, to the disk. */
export async function writeScript(file: string, text: string): Promise<void> {
  await withFile(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, async (handle) => {
    await handle.writeFile(text)
    // Whatever the umask.
    await handle.chmod(0o755)
    await handle.sync()
  })
}

async function withFile<T>(file: string, flags: number, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(file, flags, 0o700)
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}

async function* chunks(handle: FileHandle, signal: AbortSignal): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK)
  for (;;) {
    if (signal.aborted) throw new Trouble('interrupted; nothing was changed')
    const { bytesRead } = await handle.read(buffer, 0, CHUNK)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}

const ADVICE: Readonly<Record<string, string | undefined>> = {
  EACCES: 'permission denied; run this as root',
  EPERM: 'not permitted; run this as root, and see whether the file or its directory is immutable (lsattr)',
  ENOENT: 'it, or its directory, went away meanwhile; try again',
  EROFS: 'the file system is read-only; mount it read-write, or give a directory that can be written',
  ENOSPC: 'no space left on the file system; make some (df shows how much there is)',
  EDQUOT: 'the disk quota is used up; raise it, or make space',
  EBUSY: 'it is a mount point; unmount it, or mount the directory it is in instead',
}

/** What the file system refused to do at `file`, and what to do about it, on one line. Other errors stay what they are. */
export function fileTrouble(file: string, error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof Trouble || typeof code !== 'string') return error
  return new Trouble(`${file}: ${ADVICE[code] ?? messageOf(error)}; nothing was changed`)
}
