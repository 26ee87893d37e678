import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Block, blocks, pageOf, section } from '../support/markdown.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const PAGE = pageOf('docs/install.md', readFileSync(path.join(ROOT, 'docs/install.md'), 'utf8'))
/** Stands between the answers to two blocks. No command of theirs prints it. */
const NEXT = '-- next block --'

const isScript = ({ language }: Block) => language === 'sh'

/** What a block's commands must print: the text block right after it, if there is one. */
const answerTo = (all: readonly Block[], index: number) => {
  const next = all[index + 1]
  return next?.language === 'text' ? next.text : ''
}

test('the commands of "By hand" in docs/install.md, typed one after the other, print what it shows and leave nothing', () => {
  const found = blocks(section(PAGE, 'By hand'))
  const scripts = found.filter(isScript)
  expect(scripts.length).toBeGreaterThan(4)
  const typed = scripts.map(({ text }) => `${text}echo '${NEXT}'\n`).join('')
  onTestFinished(() => void spawnSync('sh', ['-c', 'ip link delete calitrial; ip netns delete trial']))

  const said = execFileSync('bash', ['-eu'], { cwd: ROOT, input: typed, encoding: 'utf8' })

  const answers = said.replaceAll(/ +$/gm, '').split(`${NEXT}\n`)
  expect(answers.slice(0, -1)).toEqual(
    found.flatMap((block, index) => (isScript(block) ? [answerTo(found, index)] : [])),
  )
  expect(existsSync('/run/netns/trial')).toBe(false)
  expect(execFileSync('ip', ['link'], { encoding: 'utf8' })).not.toContain('calitrial')
})
