import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { MAX_SET_BYTES, type SetRead, setIn } from '../config/route-sets.ts'
import { messageOf } from '../errors.ts'

/** Reads a set from its file. */
export function readSet(directory: string, name: string): SetRead {
  const file = `${directory.replace(/\/+$/, '')}/${name}`
  try {
    return readFile(file, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return refused(file, `cannot be read: ${messageOf(error)}`)
    return { ...refused(file, missing(name)), later: true }
  }
}

function readFile(file: string, name: string): SetRead {
  // A FIFO at this path would block us for ever.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) return refused(file, `is not a file; write the prefixes of set ${name} into one`)
    const { size } = stat
    if (size > MAX_SET_BYTES) return refused(file, `has ${size} bytes; the limit is ${MAX_SET_BYTES}`)
    const bytes = Buffer.allocUnsafe(size + 1)
    const length = readSync(fd, bytes)
    if (length !== size) return { ...refused(file, CHANGED), later: true }
    return setIn(bytes.toString('utf8', 0, length), file)
  } finally {
    closeSync(fd)
  }
}

const CHANGED = 'changed while it was read; write a new file beside it and rename that'

function missing(name: string): string {
  return `does not exist yet; add "${name}" to the ConfigMap from which the agent makes these files, or write it yourself`
}

function refused(file: string, what: string): { problems: readonly string[] } {
  return { problems: [`${file}: ${what}`] }
}
