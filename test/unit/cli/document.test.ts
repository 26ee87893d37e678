import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { document } from './document.ts'

const FILE = new URL('../../../docs/cli.md', import.meta.url)

it('docs/cli.md is the one made of the definitions of commands; UPDATE_README=1 writes it', () => {
  if (process.env.UPDATE_README) writeFileSync(FILE, document())
  expect(readFileSync(FILE, 'utf8')).toBe(document())
})
