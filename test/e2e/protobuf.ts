/** As much of protobuf's wire format as the CRI needs. @see https://protobuf.dev/programming-guides/encoding/ */

/** Field numbers to values; an array is a repeated field. */
export type Message = { [field: number]: Value | Value[] | undefined }
type Value = string | number | boolean | Message | Buffer

export type Decoded = Map<number, (bigint | Buffer)[]>

export function encode(message: Message): Buffer {
  const fields = Object.entries(message).flatMap(([field, value]) =>
    [value ?? []].flat().map((one) => encodeField(Number(field), one)),
  )
  return Buffer.concat(fields)
}

function encodeField(field: number, value: Value): Buffer {
  if (typeof value === 'number' || typeof value === 'boolean') {
    return Buffer.concat([varint(field << 3), varint(Number(value))])
  }
  const bytes = Buffer.isBuffer(value) ? value : typeof value === 'string' ? Buffer.from(value) : encode(value)
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

export function decode(bytes: Buffer): Decoded {
  const message: Decoded = new Map()
  let at = 0
  const readVarint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  const readBytes = (length: number) => {
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = Number(readVarint())
    const kind = tag & 7
    const value = kind === 0 ? readVarint() : readBytes(kind === 2 ? Number(readVarint()) : kind === 1 ? 8 : 4)
    message.set(tag >> 3, [...(message.get(tag >> 3) ?? []), value])
  }
  return message
}

export const text = (message: Decoded, field: number): string => message.get(field)?.[0]?.toString() ?? ''
export const nested = (message: Decoded, field: number): Decoded[] =>
  (message.get(field) ?? []).flatMap((value) => (Buffer.isBuffer(value) ? decode(value) : []))
export const textMap = (message: Decoded, field: number): Record<string, string> =>
  Object.fromEntries(nested(message, field).map((entry) => [text(entry, 1), text(entry, 2)]))
