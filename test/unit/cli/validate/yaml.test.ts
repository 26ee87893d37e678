import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentsOf } from '../../../../src/cli/validate/documents.ts'
import { positionsIn, valueAt } from '../../../../src/cli/validate/position.ts'
import { placesIn, type Style } from '../../../../src/cli/validate/scalar.ts'
import { parseYaml } from '../../../../src/cli/validate/yaml.ts'

/** A string of JSON, and the ways to write it into YAML that the API server's decoder takes. */
const json = fc
  .json({ maxDepth: 3 })
  .map((text) => JSON.stringify(JSON.parse(text), null, 1))
  // What no manifest holds: control characters, halves of characters, the marks that stand for bytes that are none.
  .filter((text) => /^[\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe]*$/.test(text) && text.includes('\n'))
const indent = fc.constantFrom('', ' ', '    ', '\t', '  \t', '\t  ')
const lineEnd = fc.constantFrom('\n', '\r\n')

const WRITE: Readonly<Record<string, (text: string, indent: string) => string>> = {
  single: (text, by) => `'${text.replaceAll("'", "''").replaceAll('\n', `\n${by}`)}'`,
  double: (text, by) => `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', `\n${by}`)}"`,
  'double, all lines going on': (text, by) => `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', `\\\n${by}`)}"`,
  'double, with codes': (text, by) =>
    `"${text.replaceAll(/[^\n ]/gu, (char) => `\\U${char.codePointAt(0)?.toString(16).padStart(8, '0')}`).replaceAll('\n', `\n${by}`)}"`,
  literal: (text) => `|\n    ${text.replaceAll('\n', '\n    ')}`,
  folded: (text) => `>2-  # folded\n    ${text.replaceAll('\n', '\n    ')}`,
}

describe.each(Object.keys(WRITE))('a string in YAML, %s', (style) => {
  it('is read as the API server does, and every character of it is found in the file', () => {
    fc.assert(
      fc.property(json, indent, lineEnd, (text, by, end) => {
        const file = `a: 1\nb:\n  c: ${WRITE[style]?.(text, by)}\nd: 2\n`.replaceAll('\n', end)
        const [document] = parseYaml(file)
        expect(document?.errors).toEqual([])
        const value = String(valueAt(document?.value, ['b', 'c']))
        // YAML folds lines, within strings of JSON there are none.
        expect(JSON.parse(value)).toEqual(JSON.parse(text))
        const at = document?.within(['b', 'c']) ?? positionsIn('')
        const lines = file.split('\n')
        for (const [offset, char] of [...Array.from({ length: value.length }, (_, i) => value[i] ?? '').entries()]) {
          if (/\s/.test(char)) continue
          const { line, column } = at(offset)
          expect(['\\', "'", char]).toContain(lines[line - 1]?.[column - 1])
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('where a character of a string stands', () => {
  it.each<[Style, string, string, number[]]>([
    ['plain', 'a b\n  c', 'a b c', [0, 1, 2, 3, 6]],
    ['single', "a''b\n\n c", "a'b\nc", [0, 1, 3, 4, 7]],
    ['double', 'a\\"\\\n  b\\u0063\\t\\x64', 'a"bc\td', [0, 1, 7, 8, 9, 16]],
    ['block', '    a\n      b\n', 'a\n  b\n', [4, 5, 5, 5, 12, 13]],
  ])('%s', (style, source, value, expected) => {
    const place = placesIn(source, style, value)
    expect(Array.from({ length: value.length }, (_, offset) => place?.(offset))).toEqual(expected)
  })

  it('is not told of another string', () => {
    expect(placesIn('abc', 'plain', 'abcd')).toBeUndefined()
  })
})

describe('a file of anything', () => {
  const NAD = (config: string) =>
    `apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a}\nspec:\n  config: ${config}\n`
  const CONFIG = '{"cniVersion": "1.0.0", "plugins": [{"type": "calico"}, {"type": "x-calico-route", "routes": null}]}'
  const parts = [
    '{',
    '}',
    '{{',
    '}}',
    '[',
    ']',
    '"',
    "'",
    ':',
    '- ',
    '\n',
    '\n\t',
    ' ',
    '? ',
    '&a ',
    '*a',
    '|',
    '>',
    '---\n',
    '\ufeff',
    '!x ',
    '#',
    '<<: *a',
    'null',
    ',',
  ]

  it('is answered in findings, and no error escapes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(
          NAD(`'${CONFIG}'`),
          NAD(`|\n    ${CONFIG}`),
          NAD(JSON.stringify(CONFIG)),
          CONFIG,
          'a: {b: [c, d]}\n',
        ),
        fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...parts)), { maxLength: 4 }),
        fc.boolean(),
        (text, changes, yaml) => {
          const damaged = changes.reduce((left, [at, length, part]) => {
            const place = at % (left.length + 1)
            return left.slice(0, place) + part + left.slice(place + length)
          }, text)
          const { findings } = contentsOf(new TextEncoder().encode(damaged), yaml)
          for (const { message } of findings) expect(message).not.toMatch(/\[object|\n|undefined/)
        },
      ),
      { numRuns: 600 },
    )
  })
})
