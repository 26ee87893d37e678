import { readdirSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import {
  NAME,
  pluginDirectory,
  script,
  sha256,
  starting,
  temporaries,
  temporaryDirectory,
  versionOf,
} from './install-support.ts'

let version: string
let digest: string
beforeAll(async () => {
  version = await versionOf()
  digest = await sha256(PLUGIN)
})

/** An install that stays, what it has said so far, and how to wait for its next word. */
function staying(bin: string) {
  const child = starting(['install', '--to', bin, '--stay', '--every', '0.1'])
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  onTestFinished(() => void child.kill('SIGKILL'))
  /** Everything said until `text` came, which is then forgotten. */
  const until = async (text: string) => {
    await expect.poll(() => said, { timeout: 20_000 }).toContain(text)
    const all = said
    said = ''
    return all
  }
  return { child, until, saidSince: () => said }
}

describe('install --stay', () => {
  test('puts back what was deleted, spoilt or replaced by another program', async () => {
    const { bin, file } = pluginDirectory()
    const { child, until, saidSince } = staying(bin)
    await until(`${file}: ${version} installed\n`)

    await rm(file)
    expect(await until('installed\n')).toBe(`${file}: ${version} installed\n`)
    expect(await sha256(file)).toBe(digest)

    await writeFile(`${file}.new`, 'half a file')
    await rename(`${file}.new`, file)
    await until(`${file}: ${version} installed, replaces a file that does not start`)
    expect(await sha256(file)).toBe(digest)

    await script(`${file}.new`, 'echo somebody else')
    await rename(`${file}.new`, file)
    await until(
      `${file}: ${version} installed, replaces another program, which answers --version with "somebody else"\n`,
    )
    expect(await sha256(file)).toBe(digest)

    await sleep(500)
    expect(saidSince()).toBe('')
    child.kill('SIGTERM')
    expect(await child).toMatchObject({ exitCode: 0 })
    expect(readdirSync(bin)).toEqual([NAME])
  })

  test('leaves another version alone that works, since an upgrade put it there', async () => {
    const { bin, file } = pluginDirectory()
    const { child, until } = staying(bin)
    await until('installed\n')
    await script(`${file}.new`, 'echo x-calico-route 9.9.9+abc')
    await rename(`${file}.new`, file)
    await until(`${file}: now x-calico-route 9.9.9+abc, left alone\n`)
    child.kill('SIGINT')
    expect(await child).toMatchObject({ exitCode: 0 })
    expect(await sha256(file)).not.toBe(digest)
  })

  test('says once what keeps it from installing again, and does so when it can', async () => {
    const { bin, file } = pluginDirectory()
    const { child, until, saidSince } = staying(bin)
    await until('installed\n')
    const away = path.join(temporaryDirectory(), 'away')
    await rename(bin, away)
    expect(await until('trying again')).toContain(`--to: there is no directory ${bin}`)
    await sleep(500)
    expect(saidSince()).not.toContain('trying again')
    await rm(path.join(away, NAME))
    await rename(away, bin)
    await until(`${file}: ${version} installed\n`)
    child.kill('SIGTERM')
    expect(await child).toMatchObject({ exitCode: 0 })
  })
})

describe('a signal during install', () => {
  test.each([
    { flag: [], exitCode: 2, stderr: 'x-calico-route install: interrupted; nothing was changed\n' },
    { flag: ['--stay'], exitCode: 0, stderr: '' },
  ])('leaves nothing of the new version, and the old one: $flag', async ({ flag, exitCode, stderr }) => {
    const { bin, file } = pluginDirectory()
    await script(file, 'echo x-calico-route 0.0.9+abc')
    const child = starting(['install', '--to', bin, ...flag])
    await expect.poll(() => temporaries(bin), { interval: 2, timeout: 10_000 }).toHaveLength(1)
    child.kill('SIGTERM')
    expect(await child).toMatchObject({ exitCode, stderr, stdout: '' })
    expect(readdirSync(bin)).toEqual([NAME])
    expect(await sha256(file)).not.toBe(digest)
  })
})
