/** A part of a file that the kernel maps into the process. @see elf(5) */
export interface Segment {
  readonly offset: number
  readonly address: number
  readonly size: number
  readonly executable: boolean
}

const PT_LOAD = 1
const PF_X = 1

/** The parts of a 64-bit little-endian executable that are mapped. */
export function segmentsOf(file: Buffer): Segment[] {
  const table = Number(file.readBigUInt64LE(32))
  const [size, count] = [file.readUInt16LE(54), file.readUInt16LE(56)]
  return Array.from({ length: count }, (_, i) => file.subarray(table + i * size)).flatMap((header) => {
    if (header.readUInt32LE(0) !== PT_LOAD) return []
    const field = (at: number) => Number(header.readBigUInt64LE(at))
    const executable = (header.readUInt32LE(4) & PF_X) !== 0
    return [{ offset: field(8), address: field(16), size: field(32), executable }]
  })
}

/** The bytes at the addresses that a segment of another file has. */
export function mappedAt(file: Buffer, { address, size }: Segment): Buffer | undefined {
  const around = segmentsOf(file).find((one) => one.address <= address && address + size <= one.address + one.size)
  if (!around) return undefined
  const start = around.offset + address - around.address
  return file.subarray(start, start + size)
}

/** The content of the last ELF note with a name. */
export function noteIn(file: Buffer, name: string): Buffer {
  const at = file.lastIndexOf(`${name}\0`)
  const length = Buffer.byteLength(`${name}\0`)
  if (at < 12 || file.readUInt32LE(at - 12) !== length) throw new Error(`the ELF note ${name} is missing`)
  const start = at + Math.ceil(length / 4) * 4
  return file.subarray(start, start + file.readUInt32LE(at - 8))
}
