/** Reads the little-endian fields of a binary layout that nobody promises: whatever is not as expected is an error that names it. */
export class Fields {
  /** Where the next field begins. */
  at = 0
  readonly #name: string
  readonly #bytes: Buffer

  constructor(name: string, bytes: Buffer) {
    this.#name = name
    this.#bytes = bytes
  }

  u8(): number {
    return this.#next(1).readUInt8()
  }

  u32(): number {
    return this.#next(4).readUInt32LE()
  }

  u64(): number {
    return Number(this.#next(8).readBigUInt64LE())
  }

  /** As many bytes as the u64 before them says. */
  sized(): Buffer {
    return this.#next(this.u64())
  }

  text(): string {
    return this.sized().toString()
  }

  /** As many bytes as the u32 before them says. */
  sized32(): Buffer {
    return this.#next(this.u32())
  }

  /** Everything from here to the end. */
  rest(): Buffer {
    return this.#next(this.#bytes.length - this.at)
  }

  expect<T extends number | string>(field: string, found: T, expected: T): void {
    if (found !== expected) throw new Error(`${this.#name}: ${field} is ${found}, expected ${expected}`)
  }

  #next(length: number): Buffer {
    const left = this.#bytes.length - this.at
    if (length > left) throw new Error(`${this.#name}: ends ${length - left} bytes early`)
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }
}
