import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { TRACKED } from '../../scripts/release/contents.ts'
import { run } from '../../src/cli/main.ts'
import { anchors, blocks, commands, links, pageOf, spans } from '../support/markdown.ts'

// What the build puts into the bundle of commands.
vi.hoisted(() => Object.assign(globalThis, { __VERSION__: '0.0.0' }))

const ROOT = path.resolve(import.meta.dirname, '../..')
/** What others wrote, or the build, or a tool. */
const NOT_OURS = /^(?:node_modules|dist|\.(?!github\/)[^/]*|test\/schemas\/generated)(?:\/|$)/
const PAGES = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md') && !NOT_OURS.test(file))
  .map((file) => pageOf(file, readFileSync(path.join(ROOT, file), 'utf8')))
const each = PAGES.map((page) => [page.file, page] as const)

const MOST_COLUMNS = 120
/** A page that a test makes as a whole is wrapped by whoever shows it. */
const GENERATED = /^<!-- Made from /
const MOST_LINES_OF_README = 150

/** What a command of the executable says. */
async function answer(words: readonly string[], input = ''): Promise<{ status: number; text: string }> {
  let text = ''
  const hear = (more: string) => {
    text += more
  }
  const status = await run(words, { out: hear, err: hear, input: () => input, colors: false, progress: false })
  return { status, text }
}

it('there are pages, and the first one is short', () => {
  expect(PAGES.map(({ file }) => file)).toEqual(expect.arrayContaining(['README.md', 'docs/configuration.md']))
  const lines = PAGES.find(({ file }) => file === 'README.md')?.lines ?? []
  expect(lines.length).toBeLessThanOrEqual(MOST_LINES_OF_README)
})

describe.each(each)('%s', (file, page) => {
  const isWrapped = !page.lines.some(({ text }) => GENERATED.test(text))
  if (isWrapped) {
    it(`has at most ${MOST_COLUMNS} columns, but for tables, code, and lines that are one link`, () => {
      const link = /^[\s\d.*-]*!?\[[^\]]*\]\([^)]*\)[.,:;]?$/
      const long = page.lines.filter(
        ({ text, inCode }) => [...text].length > MOST_COLUMNS && !inCode && !/^\s*\|/.test(text) && !link.test(text),
      )
      expect(long.map(({ number, text }) => `${file}:${number}: ${text}`)).toEqual([])
    })
  }

  it('links to what is there', () => {
    const dead = links(page).filter(({ target }) => {
      const [to = '', anchor] = target.split('#')
      const linked = to === '' ? file : path.join(path.dirname(file), to)
      if (linked.startsWith('..') || !existsSync(path.join(ROOT, linked))) return true
      const other = PAGES.find((one) => one.file === linked)
      return anchor !== undefined && !(other && anchors(other).includes(anchor))
    })
    expect(dead.map(({ number, target }) => `${file}:${number}: ${target}`)).toEqual([])
  })

  it('names targets that make has', () => {
    const makefile = readFileSync(path.join(ROOT, 'Makefile'), 'utf8')
    const targets = [...makefile.matchAll(/^([a-z][a-z0-9-]*):/gm)].map(([, name]) => name)
    const named = commands(page, 'make').flatMap(({ number, words }) =>
      words.filter((word) => /^[a-z]/.test(word)).map((word) => ({ number, word })),
    )
    expect(named.filter(({ word }) => !targets.includes(word))).toEqual([])
  })

  it('names commands and options that the executable has', async () => {
    const unknown: string[] = []
    for (const { number, words } of commands(page, 'x-calico-route')) {
      const [command = ''] = words
      if (!/^[a-z-]/.test(command)) continue
      const { status, text } = await answer([...(command.startsWith('-') ? [] : [command]), '--help'])
      const known = new Set(text.match(/(?<![\w-])--?[a-z][a-z-]*/g))
      const strange = words.flatMap((word) => /^--?[a-z][a-z-]*/.exec(word) ?? []).filter((word) => !known.has(word))
      if (status !== 0 || strange.length > 0) unknown.push(`${file}:${number}: ${words.join(' ')}`)
    }
    expect(unknown).toEqual([])
  })

  it('has no semicolon in a diagram, where it would end a statement of Mermaid', () => {
    const ended = blocks(page).filter(({ language, text }) => language === 'mermaid' && text.includes(';'))
    expect(ended.map(({ number }) => `${file}:${number}`)).toEqual([])
  })

  const shown = blocks(page).filter(({ language, text }) => {
    return /^(?:json|yaml)$/.test(language) && /"type": "x-calico-route"/.test(text)
  })
  it.each(shown.map(({ number, text }) => [number, text] as const))(
    'shows, in line %i, a configuration that validate takes',
    async (_, text) => {
      expect(await answer(['validate', '--strict', '-'], inAList(text))).toMatchObject({ status: 0 })
    },
  )
})

/** An entry of "plugins" alone gets a list around it, as a reader is told to write one. */
function inAList(text: string): string {
  const entry = parse(text)
  if (entry.type !== 'x-calico-route') return text
  const calico = { type: 'calico', ipam: { type: 'calico-ipam', assign_ipv6: 'true' } }
  return JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', plugins: [calico, entry] })
}

it('configurations are shown', () => {
  expect(PAGES.flatMap(blocks).filter(({ text }) => text.includes('"x-calico-route"')).length).toBeGreaterThan(3)
})

it('what README.md and docs/ link to is in a release, too', () => {
  const linked = PAGES.filter(({ file }) => /^(?:README\.md|docs\/[^/]*)$/.test(file)).flatMap((page) =>
    links(page).map(({ target }) =>
      path.join(path.dirname(page.file), target.replace(/#.*/, '') || path.basename(page.file)),
    ),
  )
  const missing = linked.filter((file) => !TRACKED.some((one) => file === one || file.startsWith(`${one}/`)))
  expect(missing).toEqual([])
})

it('a command in a list of words is looked at: what this test finds is found', () => {
  const page = pageOf(
    'x.md',
    '`verify --quiet`, `make lint format CI=1 # x`\n\n```sh\n./x-calico-route plan -o json | jq\n```\n',
  )
  expect(spans(page)).toHaveLength(2)
  expect(commands(page, 'make').map(({ words }) => words)).toEqual([['lint', 'format', 'CI=1']])
  expect(commands(page, 'x-calico-route').map(({ words }) => words)).toEqual([
    ['verify', '--quiet'],
    ['plan', '-o', 'json'],
  ])
})
