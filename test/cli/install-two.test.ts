/** Two installs into one directory at the same time. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NAME, pluginDirectory, script, temporaryDirectory, VERSION } from './plugin-directory.ts'
import { bringing, makeParts } from './self-contained.ts'
import { starting, tool } from './tool.ts'

const parts = '/run/xcr-parts-of-two'
beforeAll(() => makeParts(parts))
afterAll(() => rmSync(parts, { recursive: true, force: true }))

test.each<[what: string, words: string[]]>([
  ['plugin', ['--self-contained=never']],
  ['plugin that brings what it needs', ['--self-contained']],
])('one that fails does not take away the %s that the other has put there', async (_what, words) => {
  const { bin, file } = pluginDirectory()
  const signs = path.join(temporaryDirectory(), 'signs')
  mkdirSync(signs)
  const install = ['install', '--to', bin, '--host-root', '/', ...words]
  // The first can start nothing on the node but a shell, and waits to hear so.
  const nsenter = path.join(signs, 'nsenter')
  await script(
    nsenter,
    `case "$*" in *'/bin/sh -c '*) exit 0; esac; : > ${signs}/asked; until [ -e ${signs}/go ]; do sleep 0.1; done; exit 1`,
  )
  const first = starting(install, {
    shell: `${bringing(parts)}; mount --bind ${nsenter} "$(realpath /usr/bin/nsenter)"; exec "$@"`,
  })
  await expect.poll(() => existsSync(`${signs}/asked`), { timeout: 20_000 }).toBe(true)
  expect(await tool(install, { shell: `${bringing(parts)}; exec "$@"` })).toMatchObject({ exitCode: 0, stderr: '' })
  writeFileSync(`${signs}/go`, '')
  expect(await first).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('nothing was changed') })
  expect((await tool(['install', '--check', '--to', bin])).stdout).toBe(`${file}: ${VERSION} answers\n`)
  expect(readdirSync(bin)).toHaveLength(2)
  expect(readdirSync(bin)).toContain(NAME)
})
