import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

const MiB = 1024 * 1024

/** The limit of the plugin for stdin. */
const MAX_BYTES = 16 * MiB

/**
 * A descriptor that names a file without opening it: no device wakes up, no FIFO blocks. Node has no constant for it.
 * @see open(2)
 */
const O_PATH = 0o10000000

/**
 * The bytes of a file that was found in a directory. Nobody named it: whoever can write there chose what it is. So only
 * a regular file is opened, and at most `max` bytes of it are read.
 * @param links whether the file may be a symbolic link, as all files of a ConfigMap are
 * @throws Error
 */
export function readFound(file: string, links: 'follow' | 'refuse', max = MAX_BYTES): Buffer {
  return withFd(file, O_PATH | (links === 'refuse' ? constants.O_NOFOLLOW : 0), (seen) => {
    const kind = kindOf(fstatSync(seen))
    if (kind !== undefined) throw new Error(`is ${kind}`)
    // Opens the file that was looked at, whatever has its name by now.
    return withFd(`/proc/self/fd/${seen}`, constants.O_RDONLY | constants.O_NONBLOCK, (fd) => readAll(fd, max))
  })
}

/**
 * The bytes of a file that a person named, read to its end. It may be a pipe, such as the shell's `<(helm template …)`.
 * @throws Error
 */
export function readNamed(file: string): Buffer {
  return withFd(file, constants.O_RDONLY, (fd) => readAll(fd, MAX_BYTES))
}

/** What a file is, unless it is a regular one. */
function kindOf(stat: Stats): string | undefined {
  if (stat.isFile()) return undefined
  if (stat.isDirectory()) return 'a directory'
  if (stat.isSymbolicLink()) return 'a symbolic link, which is not followed'
  if (stat.isFIFO()) return 'a FIFO'
  return stat.isSocket() ? 'a socket' : 'a device'
}

function readAll(fd: number, max: number): Buffer {
  const chunks: Buffer[] = []
  for (let size = 0; size <= max; ) {
    const buffer = Buffer.allocUnsafe(64 * 1024)
    const length = readSync(fd, buffer)
    if (length === 0) return Buffer.concat(chunks)
    chunks.push(buffer.subarray(0, length))
    size += length
  }
  throw new Error(`longer than ${max / MiB} MiB`)
}

function withFd<T>(file: string, flags: number, use: (fd: number) => T): T {
  const fd = openSync(file, flags)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
