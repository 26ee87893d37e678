import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { configurations, EXAMPLES, textOf } from './support/examples.ts'

const page = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

describe('an example', () => {
  it.each(EXAMPLES)('%s is a configuration that ADD takes', (file) => {
    const found = configurations(file)
    expect(found).not.toEqual([])
    for (const conf of found) expect(() => parseConfig(conf)).not.toThrow()
  })

  it.each(EXAMPLES)('%s is in the list of examples', (file) => {
    expect(page('conf-examples/README.md')).toContain(`(${file})`)
  })

  it('shows every key there is', () => {
    const [all] = configurations('all-keys.json')
    const shown = new Set(Object.keys(all ?? {}))
    for (const key of ['defaultRoute', 'routes', 'dryRun', 'logLevel', 'logFile']) expect(shown).toContain(key)
    const routeKeys = new Set(((all?.routes ?? []) as object[]).flatMap((route) => Object.keys(route)))
    expect([...routeKeys].sort()).toEqual([
      'advmss',
      'dev',
      'dst',
      'gw',
      'mtu',
      'onlink',
      'priority',
      'scope',
      'src',
      'table',
    ])
  })
})

describe('README', () => {
  // A block of README that stands in a file too is introduced by a comment with the file's name.
  const blocks = [...page('README.md').matchAll(/<!-- (conf-examples\/\S+) -->\n```\w+\n([\s\S]*?)```/g)]

  it('shows examples', () => {
    expect(blocks).not.toEqual([])
  })

  it.each(blocks.map(([, file, text]) => [file ?? '', text ?? '']))('shows %s as it is', (file, text) => {
    expect(text).toBe(textOf(file.replace('conf-examples/', '')))
  })
})
