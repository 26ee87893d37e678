import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

const MiB = 1024 * 1024

/** As much as the plugin takes from stdin. */
const MOST = 16 * MiB

/** A descriptor to look at a file by, which opens nothing: no device wakes up, no FIFO waits. Node has no name for it. @see open(2) */
const O_PATH = 0o10000000

/**
 * The bytes of a file that was found in a directory, and that nobody named: whoever can write there chose what it is. So only a
 * regular file is opened, and no more than so much of it is read.
 * @param links whether the file may be a symbolic link, as all files of a ConfigMap are
 * @throws Error
 */
export function readFound(file: string, links: 'follow' | 'refuse', most = MOST): Buffer {
  return withFd(file, O_PATH | (links === 'refuse' ? constants.O_NOFOLLOW : 0), (seen) => {
    const kind = kindOf(fstatSync(seen))
    if (kind !== undefined) throw new Error(`is ${kind}`)
    // The file that was looked at, whatever has its name by now.
    return withFd(`/proc/self/fd/${seen}`, constants.O_RDONLY | constants.O_NONBLOCK, (fd) => readAll(fd, most))
  })
}

/**
 * The bytes of a file that a person named. It may be a pipe, as the shell's `<(helm template …)` is: it is read to its end.
 * @throws Error
 */
export function readNamed(file: string): Buffer {
  return withFd(file, constants.O_RDONLY, (fd) => readAll(fd, MOST))
}

/** What a file is that is no regular one. */
function kindOf(stat: Stats): string | undefined {
  if (stat.isFile()) return undefined
  if (stat.isDirectory()) return 'a directory'
  if (stat.isSymbolicLink()) return 'a symbolic link, and not followed'
  if (stat.isFIFO()) return 'a FIFO'
  return stat.isSocket() ? 'a socket' : 'a device'
}

function readAll(fd: number, most: number): Buffer {
  const chunks: Buffer[] = []
  for (let size = 0; size <= most; ) {
    const buffer = Buffer.allocUnsafe(64 * 1024)
    const length = readSync(fd, buffer)
    if (length === 0) return Buffer.concat(chunks)
    chunks.push(buffer.subarray(0, length))
    size += length
  }
  throw new Error(`longer than ${most / MiB} MiB`)
}

function withFd<T>(file: string, flags: number, use: (fd: number) => T): T {
  const fd = openSync(file, flags)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
