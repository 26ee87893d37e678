import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

/** SECURITY.md says of each threat what is done about it, and which test shows it. A renamed test must not leave it lying. */
const ROOT = path.resolve(import.meta.dirname, '../..')
const text = readFileSync(path.join(ROOT, 'SECURITY.md'), 'utf8')
const tests = [...text.matchAll(/^(\d+)\. `(test\/[^`]+)`:((?:\s.+)(?:\n +.+)*)$/gm)].map(
  ([, number = '', file = '', title = '']) => ({ number, file, title: title.trim().replaceAll(/\n +/g, ' ') }),
)
const [, threats = ''] = /^## Threats\n(.*?)^### /ms.exec(text) ?? []
const rows = threats.split('\n').filter((line) => /^\| (?!who \|)/.test(line))

describe('SECURITY.md', () => {
  test('names tests for its threats, each with a number of its own', () => {
    expect(tests.length).toBeGreaterThan(20)
    expect(tests.map(({ number }) => number)).toEqual(tests.map((_, i) => String(i + 1)))
  })

  test.each(tests)('[$number] is a test of $file: $title', ({ file, title }) => {
    expect(existsSync(path.join(ROOT, file))).toBe(true)
    expect(readFileSync(path.join(ROOT, file), 'utf8').replaceAll("\\'", "'")).toContain(title)
  })

  test('has for every threat a test of it, and no test that is of none', () => {
    expect(rows.length).toBeGreaterThan(15)
    const numbers = tests.map(({ number }) => number)
    for (const row of rows) {
      const [, , , , shown = ''] = row.split(' | ').map((cell) => cell.replace(/ \|$/, ''))
      const cited = [...shown.matchAll(/\[(\d+)\]/g)].map(([, number = '']) => number)
      expect({ row, known: cited.length > 0 && cited.every((one) => numbers.includes(one)) }).toEqual({
        row,
        known: true,
      })
    }
    expect(numbers.filter((number) => !rows.some((row) => row.includes(`[${number}]`)))).toEqual([])
  })

  test('knows every test of security there is', () => {
    const files = readdirSync(import.meta.dirname).filter((file) =>
      /^(security|supply|sbom|licences|reproducible)/.test(file),
    )
    const named = files.filter((file) => !text.includes(file))
    expect(named).toEqual(['security-document.test.ts'])
  })
})
