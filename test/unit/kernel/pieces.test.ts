import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TooMuch } from '../../../src/errors.ts'
import { Pieces } from '../../../src/kernel/pieces.ts'

/** What comes of an answer that is read in parts of these lengths, in turn. */
function read(answer: string, lengths: readonly number[]): { pieces: string[]; cut: boolean } {
  const reader = new Pieces()
  const pieces: string[] = []
  let at = 0
  for (let i = 0; at < answer.length; i++) {
    const length = lengths[i % lengths.length] ?? answer.length
    const piece = reader.add(answer.slice(at, at + length))
    if (piece !== undefined) pieces.push(piece)
    at += length
  }
  const { cut } = reader
  return { pieces: [...pieces, reader.finish('')], cut }
}

const text = fc.string({ unit: fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', 'a'), maxLength: 12 })
const nested = fc.record({ dst: text, metrics: fc.array(fc.record({ mtu: fc.nat() }), { maxLength: 2 }) })
const lengths = fc.array(fc.constantFrom(1, 3, 150, 4096, 65_536, 200_000), { minLength: 1, maxLength: 4 })

describe('an answer of ip(8)', () => {
  it('that is long comes in pieces that hold the same objects, wherever it is cut', () => {
    const padding = 'x'.repeat(2000)
    fc.assert(
      fc.property(fc.array(nested, { minLength: 80, maxLength: 120 }), lengths, (objects, parts) => {
        const padded = objects.map((object) => ({ ...object, padding }))
        const answer = JSON.stringify(padded)
        // Single characters for all of it would take too long.
        const { pieces, cut } = read(answer, [...parts, 10_000])
        expect(cut).toBe(true)
        expect(pieces.flatMap((piece) => JSON.parse(piece))).toEqual(padded)
      }),
      { numRuns: 60 },
    )
  })

  it('of ordinary length stays whole', () => {
    const answer = JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ dst: `10.0.${i}.0/24`, metrics: [{}] })))
    expect(read(answer, [100])).toEqual({ pieces: [answer], cut: false })
  })

  it('is given up with an object that is longer than any route or interface', () => {
    const object = (length: number) => JSON.stringify([{ dst: 'x'.repeat(length) }])
    expect(read(object(1_000_000), [65_536]).pieces).toEqual([object(1_000_000).slice(0, -1).concat(']'), '[]'])
    expect(() => read(object(2_000_000), [65_536])).toThrow(TooMuch)
  })
})
