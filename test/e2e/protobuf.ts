/** As much of protobuf's wire format as the CRI needs. @see https://protobuf.dev/programming-guides/encoding/ */

/** Field numbers, up to 15, to values. */
export type Message = { readonly [field: number]: string | true | Message }

export function encode(message: Message): Buffer {
  const fields = Object.entries(message).map(([field, value]) => {
    if (value === true) return Buffer.from([Number(field) << 3, 1])
    const bytes = typeof value === 'string' ? Buffer.from(value) : encode(value)
    return Buffer.concat([Buffer.from([(Number(field) << 3) | 2, ...varint(bytes.length)]), bytes])
  })
  return Buffer.concat(fields)
}

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)])

/** What is in each field with that number, in order. Numbers and booleans are passed over: nobody asks for one. */
export function inside(message: Buffer, field: number): Buffer[] {
  const found: Buffer[] = []
  let at = 0
  const number = () => {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = message[at++] ?? 0
      value += (byte & 127) * unit
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const tag = number()
    const length = number() // or, of a number, its value
    if ((tag & 7) !== 2) continue
    if (tag >> 3 === field) found.push(message.subarray(at, at + length))
    at += length
  }
  return found
}

export const text = (message: Buffer, field: number): string => inside(message, field)[0]?.toString() ?? ''
export const textMap = (message: Buffer, field: number): Record<string, string> =>
  Object.fromEntries(inside(message, field).map((entry) => [text(entry, 1), text(entry, 2)]))
