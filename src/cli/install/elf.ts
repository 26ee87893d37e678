import { createHash } from 'node:crypto'
import path from 'node:path'

/** Reads so many bytes from there; fewer at the end of the file. */
export type Read = (offset: number, length: number) => Buffer

/** Bytes to write over a file, which becomes no longer by it. */
export interface Edit {
  readonly offset: number
  readonly bytes: Buffer
}

/** The longest path that is written into a file, with the zero byte that ends it. */
export const PATH_BYTES = 256

/**
 * What the build puts into the executable, as an asset: 32 bytes by which it is found, then room for two paths. It is mapped
 * wherever the program is, as the path of a loader must be. The mark is a hash, since no text of ours may look like it.
 */
export function emptyRoom(): Buffer {
  return Buffer.concat([mark(), Buffer.alloc(2 * PATH_BYTES)])
}

const mark = () => createHash('sha256').update('x-calico-route: room for the paths of a loader and libraries').digest()

/** One of the program headers. @see elf(5) Elf64_Phdr */
interface Segment {
  /** Where in the file the header itself is. */
  readonly at: number
  readonly type: number
  readonly offset: number
  readonly address: bigint
  readonly size: number
}

const PT = { load: 1, dynamic: 2, interp: 3 } as const
const DT = { null: 0n, strtab: 5n, rpath: 15n, debug: 21n } as const
const DYNAMIC_ENTRY = 16

/**
 * What to write over the executable so that the kernel starts it by the loader in `directory`, and that finds the libraries
 * there: the paths go into its room, and PT_INTERP and a DT_RPATH lead to them. DT_RPATH takes the place of DT_DEBUG, which
 * every program has and only debuggers read.
 * @param directory an absolute path, shorter than PATH_BYTES with the loader's name
 * @throws Error if the executable is not as our build makes it
 * @see elf(5), ld.so(8)
 */
export function loaderEdits(read: Read, directory: string): Edit[] {
  const segments = segmentsOf(read)
  const interpreter = segmentOf(segments, PT.interp)
  const room = findRoom(read) + mark().length
  const address = addressOf(segments, room)
  const loader = loaderIn(directory, read, interpreter)
  const [debug, strings] = [dynamicEntry(read, segments, DT.debug), dynamicEntry(read, segments, DT.strtab)]
  return [
    { offset: room, bytes: Buffer.concat([padded(loader, PATH_BYTES), padded(directory, PATH_BYTES)]) },
    { offset: interpreter.at + 8, bytes: numbers(BigInt(room), address, address, size(loader), size(loader)) },
    // An offset from the table of strings, which nobody compares with the size of that table.
    { offset: debug.at, bytes: numbers(DT.rpath, BigInt.asUintN(64, address + BigInt(PATH_BYTES) - strings.value)) },
  ]
}

/**
 * What to write over one of the image's tools so that the kernel starts it by the loader in `directory`. Its path of the loader
 * has room, see scripts/image/node-tools.sh, and it looks for libraries beside itself.
 * @returns undefined for what has no such room, such as a library
 */
export function interpreterEdit(read: Read, directory: string): Edit | undefined {
  if (!isElf(read)) return undefined
  // libc.so.6 is a program as well, but nobody starts it.
  const interpreter = segmentsOf(read).find(({ type, size }) => type === PT.interp && size >= PATH_BYTES)
  if (!interpreter) return undefined
  return { offset: interpreter.offset, bytes: padded(loaderIn(directory, read, interpreter), interpreter.size) }
}

/** The path of the loader by which the kernel starts a program. @throws Error if it needs none */
export function loaderOf(read: Read): string {
  const { offset, size } = segmentOf(segmentsOf(read), PT.interp)
  return textAt(read, offset, size)
}

const textAt = (read: Read, offset: number, size: number) => read(offset, size).toString().split('\0')[0] ?? ''

const isElf = (read: Read) => read(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))

function loaderIn(directory: string, read: Read, { offset, size }: Segment): string {
  return path.posix.join(directory, path.posix.basename(textAt(read, offset, size)))
}

function segmentsOf(read: Read): Segment[] {
  const head = read(0, 64)
  const [at, each, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)]
  const table = read(at, each * count)
  return Array.from({ length: count }, (_, index) => {
    const header = table.subarray(index * each, (index + 1) * each)
    return {
      at: at + index * each,
      type: header.readUInt32LE(0),
      offset: Number(header.readBigUInt64LE(8)),
      address: header.readBigUInt64LE(16),
      size: Number(header.readBigUInt64LE(32)),
    }
  })
}

function segmentOf(segments: readonly Segment[], type: number): Segment {
  const segment = segments.find((one) => one.type === type)
  if (!segment) throw new Error(`executable: has no program header of type ${type}`)
  return segment
}

/** Where in memory a place of the file will be. */
function addressOf(segments: readonly Segment[], place: number): bigint {
  const loaded = segments.find(({ type, offset, size }) => type === PT.load && offset <= place && place < offset + size)
  if (!loaded) throw new Error('executable: its room is not loaded')
  return loaded.address + BigInt(place - loaded.offset)
}

function dynamicEntry(read: Read, segments: readonly Segment[], tag: bigint): { at: number; value: bigint } {
  const { offset, size } = segmentOf(segments, PT.dynamic)
  const table = read(offset, size)
  for (let at = 0; at + DYNAMIC_ENTRY <= size; at += DYNAMIC_ENTRY) {
    const found = table.readBigUInt64LE(at)
    if (found === tag) return { at: offset + at, value: table.readBigUInt64LE(at + 8) }
    if (found === DT.null) break
  }
  throw new Error(`executable: has no dynamic entry ${tag}`)
}

const WINDOW = 1024 * 1024

function findRoom(read: Read): number {
  const wanted = mark()
  for (let start = 0; ; start += WINDOW) {
    // The mark may begin in one window and end in the next.
    const bytes = read(start, WINDOW + wanted.length)
    const at = bytes.indexOf(wanted)
    if (at >= 0) return start + at
    if (bytes.length < WINDOW) throw new Error('executable: has no room for the path of a loader')
  }
}

function padded(text: string, length: number): Buffer {
  if (Buffer.byteLength(text) >= length) throw new Error(`${text}: too long`)
  const bytes = Buffer.alloc(length)
  bytes.write(text)
  return bytes
}

/** Of a C string. */
const size = (text: string) => BigInt(Buffer.byteLength(text) + 1)

function numbers(...values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length)
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, 8 * index)
  return bytes
}
