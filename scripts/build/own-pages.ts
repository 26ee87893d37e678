import { readFile, writeFile } from 'node:fs/promises'

const PT_LOAD = 1
/** Of an entry of the program headers: its length, and where in it are the address and the size in memory. */
const ENTRY = { length: 56, address: 0x10, memory: 0x28 }

/**
 * Has the memory of an executable end where a page does. postject puts the program headers into a segment of their own
 * right behind it, at the next 4 KiB. On a kernel with larger pages that segment would lie over the end of the data.
 */
export async function endWithPage(file: string, page: number): Promise<void> {
  const elf = await readFile(file)
  const [start, count] = [Number(elf.readBigUInt64LE(0x20)), elf.readUInt16LE(0x38)]
  const entries = Array.from({ length: count }, (_, i) => start + i * ENTRY.length)
  // In ascending order of their addresses.
  const last = entries.filter((at) => elf.readUInt32LE(at) === PT_LOAD).at(-1)
  if (last === undefined) throw new Error(`${file}: has no segment that is loaded`)
  const address = Number(elf.readBigUInt64LE(last + ENTRY.address))
  const end = address + Number(elf.readBigUInt64LE(last + ENTRY.memory))
  elf.writeBigUInt64LE(BigInt(Math.ceil(end / page) * page - address), last + ENTRY.memory)
  await writeFile(file, elf)
}
