import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundArgs } from '../../../src/cni/pod-args.ts'
import { Code } from '../../../src/errors.ts'

const KEYS = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key${i}`, 0]))
const LONG = { cni: KEYS }

describe('what a pod asks for', () => {
  it('is left alone up to 16 KiB, however long the rest is', () => {
    const text = JSON.stringify({
      args: { cni: { routes: [{ dst: '10.50.0.0/16' }] } },
      prevResult: KEYS,
      name: 'args',
    })
    expect(text.length).toBeGreaterThan(16_384)
    expect(boundArgs(text)).toEqual({ text })
  })

  it('is left out beyond, and told', () => {
    const rest = {
      cniVersion: '1.0.0',
      name: 'args',
      routes: [{ dst: '10.50.0.0/16', args: KEYS }],
      prevResult: { args: 1 },
    }
    for (const conf of [
      { ...rest, args: LONG },
      { args: LONG, ...rest },
    ]) {
      const { text, refusal } = boundArgs(JSON.stringify(conf, undefined, 1))
      expect(JSON.parse(text)).toEqual({ ...rest, args: {} })
      expect(refusal?.code).toBe(Code.overrideNotAllowed)
      expect(refusal?.message).toMatch(/^args: has \d+ characters; at most 16384 are read/)
    }
  })

  it('is found whatever stands around it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
        fc.string({ unit: 'binary' }),
        (rest, tail) => {
          const conf = { ...rest, '\\"': '{"args":', args: { ...LONG, tail }, after: '}\\' }
          expect(JSON.parse(boundArgs(JSON.stringify(conf)).text)).toEqual(
            JSON.parse(JSON.stringify({ ...conf, args: {} })),
          )
        },
      ),
    )
  })

  it.each([
    '"',
    '{"args',
    '{"args":',
    `{"args":${'['.repeat(20_000)}`,
    `{"a":"\\${'x'.repeat(20_000)}`,
    ']'.repeat(20_000),
  ])('broken JSON %# comes through as it is', (text) => {
    expect(boundArgs(text)).toEqual({ text })
  })
})
