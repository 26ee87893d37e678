import { readdirSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  DIGEST,
  INSTALLED,
  installedDigest,
  NAME,
  pluginDirectory,
  script,
  sha256,
  temporaries,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { starting, staying } from './tool.ts'

const stayingIn = (bin: string) => staying(['install', '--to', bin, '--stay', '--every', '0.1'])

describe('install --stay', () => {
  test('puts back what was deleted, spoilt or replaced by another program', async () => {
    const { bin, file } = pluginDirectory()
    const { child, until, saidSince } = stayingIn(bin)
    await until(`${file}: ${VERSION} installed\n`)

    await rm(file)
    expect(await until('installed\n')).toBe(`${file}: ${VERSION} installed\n`)
    expect(await installedDigest(bin)).toBe(DIGEST)

    await writeFile(`${file}.new`, 'half a file')
    await rename(`${file}.new`, file)
    await until(`${file}: ${VERSION} installed, replaces a file that does not start`)
    expect(await installedDigest(bin)).toBe(DIGEST)

    await script(`${file}.new`, 'echo somebody else')
    await rename(`${file}.new`, file)
    await until(
      `${file}: ${VERSION} installed, replaces another program, which answers --version with "somebody else"\n`,
    )
    expect(await installedDigest(bin)).toBe(DIGEST)

    await sleep(500)
    expect(saidSince()).toBe('')
    child.kill('SIGTERM')
    expect(await child).toMatchObject({ exitCode: 0 })
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('leaves another version alone that works, since an upgrade put it there', async () => {
    const { bin, file } = pluginDirectory()
    const { child, until } = stayingIn(bin)
    await until('installed\n')
    await script(`${file}.new`, 'echo x-calico-route 9.9.9+abc')
    await rename(`${file}.new`, file)
    await until(`${file}: now x-calico-route 9.9.9+abc, left alone\n`)
    child.kill('SIGINT')
    expect(await child).toMatchObject({ exitCode: 0 })
    expect(await sha256(file)).not.toBe(DIGEST)
  })

  test('says once what keeps it from installing again, and does so when it can', async () => {
    const { bin, file } = pluginDirectory()
    const { child, until, saidSince } = stayingIn(bin)
    await until('installed\n')
    const away = path.join(temporaryDirectory(), 'away')
    await rename(bin, away)
    await until(`--to: ${bin} does not exist`)
    await sleep(500)
    expect(saidSince()).not.toContain('trying again')
    await rm(path.join(away, NAME))
    await rename(away, bin)
    await until(`${file}: ${VERSION} installed\n`)
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
    expect(await sha256(file)).not.toBe(DIGEST)
  })
})
