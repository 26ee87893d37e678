import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { document } from './document.ts'

const FILE = new URL('../../../docs/cli.md', import.meta.url)

it('docs/cli.md is the one made of the definitions of commands', () => {
  if (process.env.UPDATE_DOCS) writeFileSync(FILE, document())
  expect(readFileSync(FILE, 'utf8'), 'to write it, run UPDATE_DOCS=1 npm test -- unit/cli/document').toBe(document())
})
