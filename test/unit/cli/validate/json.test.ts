import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonProblem, parseJson } from '../../../../src/cli/validate/json.ts'
import { positionsIn } from '../../../../src/cli/validate/position.ts'

const problem = (text: string): string => {
  try {
    parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    const { line, column } = positionsIn(text)(error.offset)
    return `${line}:${column} ${error.message}`
  }
  return 'none'
}

const accepts = (read: () => unknown): boolean => {
  try {
    read()
    return true
  } catch {
    return false
  }
}

describe('JSON with places', () => {
  it.each([
    ['{"a": 1,}', '1:8 a comma before "}"; JSON allows none there, remove it'],
    ['[1,\n  2\n  3]', '3:3 a comma is missing before this'],
    ['{"a": 1 // one\n}', '1:9 "," or "}" is expected, found a comment; JSON allows none, remove it'],
    ["{'a': 1}", '1:2 a key in double quotes is expected, found a single quote; write double quotes'],
    ['{a: 1}', '1:2 a key in double quotes is expected, found "a"'],
    ['{"a" 1}', '1:6 ":" is expected after the key "a", found "1"'],
    ['{"a": yes}', '1:7 a value is expected, found "yes"'],
    ['{"a": 007}', '1:7 a value is expected, found "007"'],
    ['{"a": null\u00a0}', '1:7 a value is expected, found "null\u00a0"'],
    ['{"a": 1.}', '1:7 a value is expected, found "1."'],
    ['[1, , 2]', '1:5 a value is expected, found ","'],
    ['{"a": 1, ', '1:10 a key in double quotes is expected, found the end'],
    ['{"a": [1, 2', '1:7 this "[" is never closed; add "]"'],
    [
      '{"a": "b',
      '1:7 this string is never closed, or has a line break, a control character or an unknown escape in it',
    ],
    ['{', '1:1 this "{" is never closed; add "}"'],
    ['{} {}', '1:4 the document has ended, found "{"'],
    ['', '1:1 a value is expected, found the end'],
    ['['.repeat(1000), '1:502 nested too deeply'],
    ['{"a":'.repeat(100_000), '1:2506 nested too deeply'],
  ])('tells of %s where and what', (text, expected) => {
    expect(problem(text)).toBe(expected)
  })

  it('knows where every key and value stands', () => {
    const text = '{ "a": [ 1, {"b.c": null} ] }'
    const { value, place } = parseJson(text)
    expect(value).toEqual({ a: [1, { 'b.c': null }] })
    const object = { value: 12, inside: new Map([['b.c', { key: 13, value: 20 }]]) }
    const list = new Map<number, object>([
      [0, { value: 9 }],
      [1, object],
    ])
    expect(place).toEqual({ value: 0, inside: new Map([['a', { key: 2, value: 7, inside: list }]]) })
  })

  it('tells of a key that stands twice', () => {
    expect(parseJson('{"a": 1, "b": {"a": 2}, "a": 3}').repeated).toEqual([{ path: ['a'], offset: 24 }])
  })

  it('takes what JSON.parse takes, and nothing else', () => {
    const damaged = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.nat(3),
        fc.constantFrom('', ',', '}', ']', '"', ':', '0', '-', '.', 'e', '\\', '\n', ' ', 'true', '\u2028', '\x01'),
      )
      .map(([text, at, length, inserted]) => {
        const place = at % (text.length + 1)
        return text.slice(0, place) + inserted + text.slice(place + length)
      })
    fc.assert(
      fc.property(fc.oneof(fc.json(), damaged), (text) => {
        expect(accepts(() => parseJson(text))).toBe(accepts(() => JSON.parse(text)))
      }),
      { numRuns: 3000 },
    )
  })
})
