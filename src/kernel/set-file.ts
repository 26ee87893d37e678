import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { MAX_SET_BYTES, type SetRead, setIn } from '../config/route-sets.ts'
import { messageOf } from '../errors.ts'

/** Reads a set from its file. */
export function readSet(directory: string, name: string): SetRead {
  const file = `${directory}/${name}`
  const refused = (what: string, later = false): SetRead => ({ problems: [`${file}: ${what}`], later })
  let fd: number | undefined
  try {
    // A FIFO at this path would block us for ever.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(fd)
    if (!stat.isFile()) return refused('is not a regular file; write the prefixes into one')
    if (stat.size > MAX_SET_BYTES) return refused(`has ${stat.size} bytes; the limit is ${MAX_SET_BYTES}`)
    const bytes = Buffer.allocUnsafe(stat.size + 1)
    const length = readSync(fd, bytes)
    if (length !== stat.size)
      return refused('changed while it was read; write it under another name, then rename it', true)
    return setIn(bytes.toString('utf8', 0, length), file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') return refused(`cannot be read: ${messageOf(error)}`)
    return refused(`does not exist yet; add "${name}" to the agent's ConfigMap, or write the file yourself`, true)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
