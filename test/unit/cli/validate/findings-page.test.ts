import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CODES } from '../../../../src/cli/validate/codes.ts'

const PAGE = readFileSync(new URL('../../../../docs/findings.md', import.meta.url), 'utf8')

/** The sections of the page, each with what comes below its heading. */
const sections = PAGE.split(/^### /m)
  .slice(1)
  .map((section) => {
    const [code = '', ...lines] = section.split('\n')
    return [
      code,
      lines
        .join('\n')
        .replace(/\n## [\s\S]*/, '')
        .trim()
        .replaceAll('\n', ' '),
    ] as const
  })

describe('docs/findings.md', () => {
  it('has a section for each code, in their order, and no other', () => {
    expect(sections.map(([code]) => code)).toEqual(Object.keys(CODES).toSorted())
  })

  it.each(Object.entries(CODES))('says of %s what it is, and more', (code, { severity, title }) => {
    const text = Object.fromEntries(sections)[code] ?? ''
    const start = `**${severity[0]?.toUpperCase()}${severity.slice(1)}: ${title}.** `
    expect(text.slice(0, start.length)).toBe(start)
    expect(text.length).toBeGreaterThan(start.length + 20)
  })
})

it('codes stand in their order', () => {
  expect(Object.keys(CODES)).toEqual(Object.keys(CODES).toSorted())
})
