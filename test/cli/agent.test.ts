import { readdirSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { agent, severalLooks } from './agent.ts'
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
import { starting, tool } from './tool.ts'

/** Caches of the machine must not be looked at. */
const noCache = () => ['--cache', temporaryDirectory()]

const agentIn = (bin: string, ...words: string[]) => agent(['--to', bin, '--interval', '0.3', ...noCache(), ...words])

describe('the agent', () => {
  test('puts back what was deleted, spoilt or replaced by another program', async () => {
    const { bin, file } = pluginDirectory()
    const { until, since, end } = agentIn(bin)
    await until(`${file}: ${VERSION} installed`)
    await until(/^ready$/)

    await rm(file)
    expect(await until('installed')).toMatchObject({ level: 'info', msg: `${file}: ${VERSION} installed` })
    expect(await installedDigest(bin)).toBe(DIGEST)

    await writeFile(`${file}.new`, 'half a file')
    await rename(`${file}.new`, file)
    await until(`${file}: ${VERSION} installed, replaces a file that does not start`)
    expect(await installedDigest(bin)).toBe(DIGEST)

    await script(`${file}.new`, 'echo somebody else')
    await rename(`${file}.new`, file)
    await until(`${file}: ${VERSION} installed, replaces another program, which answers --version with "somebody else"`)
    expect(await installedDigest(bin)).toBe(DIGEST)

    await severalLooks()
    // It may have looked while another program was there.
    expect(since().filter(({ msg }) => msg !== 'ready')).toEqual([])
    await end()
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('leaves another version alone that works, since an upgrade put it there', async () => {
    const { bin, file } = pluginDirectory()
    const { until, end } = agentIn(bin, '--no-status')
    await until('installed')
    await script(
      `${file}.new`,
      'case $1 in --version) echo x-calico-route 9.9.9+abc;; *) echo \'{"supportedVersions":["1.1.0"]}\';; esac',
    )
    await rename(`${file}.new`, file)
    await until(`${file}: now x-calico-route 9.9.9+abc, left alone`)
    await end('SIGINT')
    expect(await sha256(file)).not.toBe(DIGEST)
  })

  test('says once what keeps it from installing again, is not ready, and does so when it can', async () => {
    const { bin, file } = pluginDirectory()
    const { until, since, end } = agentIn(bin)
    await until(/^ready$/)
    const away = path.join(temporaryDirectory(), 'away')
    await rename(bin, away)
    expect(await until(`--to: ${bin} does not exist`)).toMatchObject({ level: 'error', part: 'plugin' })
    await until(`not ready: --to: ${bin} does not exist`)
    await severalLooks()
    expect(since()).toEqual([])
    await rm(path.join(away, NAME))
    await rename(away, bin)
    await until(`${file}: ${VERSION} installed`)
    await until(/^ready$/)
    await end()
  })

  test('stays where it cannot install at the start, and says why it is not ready', async () => {
    const { bin, file } = pluginDirectory()
    await script(file, 'echo somebody else')
    const { until, since, end } = agentIn(bin)
    const refused = `${file}: is another program, which answers --version with "somebody else"; move it away, or give --force to replace it; nothing was changed`
    await until(refused)
    await until(`not ready: ${refused}`)
    await severalLooks()
    expect(since()).toEqual([])
    await rm(file)
    await until(/^ready$/)
    await end()
    expect(await installedDigest(bin)).toBe(DIGEST)
  })

  test('is not ready where the plugin is there and does not answer', async () => {
    const { bin, file } = pluginDirectory()
    const { until } = agentIn(bin)
    await until(/^ready$/)
    await script(`${file}.new`, 'case $1 in --version) echo x-calico-route 9.9.9+abc;; *) exit 3;; esac')
    await rename(`${file}.new`, file)
    await until(`${file}: now x-calico-route 9.9.9+abc, left alone`)
    await until(/^not ready: VERSION: x-calico-route does not answer on this node: exit status 3; /)
    await rm(file)
    await until(/^ready$/)
  })
})

test('an agent with a misspelt cache, which would seem to have no pods, does not start', async () => {
  const { bin } = pluginDirectory()
  expect(await tool(['agent', '--to', bin, '--cache', '/run/no-such-cache'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'x-calico-route agent: /run/no-such-cache: no such file or directory\n',
  })
  expect(readdirSync(bin)).toEqual([])
})

describe('a signal during the first install', () => {
  test.each([
    { words: ['install'], exitCode: 2, stderr: 'x-calico-route install: interrupted; nothing was changed\n' },
    { words: ['agent'], exitCode: 0, stderr: '' },
  ])('leaves nothing of the new version, and the old one: $words', async ({ words, exitCode, stderr }) => {
    const { bin, file } = pluginDirectory()
    await script(file, 'echo x-calico-route 0.0.9+abc')
    const child = starting([...words, ...(words[0] === 'agent' ? noCache() : []), '--to', bin])
    await expect.poll(() => temporaries(bin), { interval: 2, timeout: 10_000 }).toHaveLength(1)
    child.kill('SIGTERM')
    expect(await child).toMatchObject({ exitCode, stderr })
    expect(readdirSync(bin)).toEqual([NAME])
    expect(await sha256(file)).not.toBe(DIGEST)
  })
})

describe('the agent refuses', () => {
  const HOW = 'is not an address and a port; write [ADDRESS:]PORT, such as 127.0.0.1:19142 or [fd00::1]:19142'
  test.each([
    [['--interval', '0'], '--interval: "0" is not a number of seconds from 0.1 to 86400'],
    [['--metrics', 'localhost:80'], `--metrics: "localhost:80" ${HOW}`],
    [['--sets-within', '10.0.0.0/8'], '--sets-within: has no effect without --sets-from; add that'],
    [['--allow-shrink'], '--allow-shrink: has no effect without --sets-from; add that'],
    [
      ['--sets-from', '/x', '--sets-within', '10.0.0.0/8,10.1.2.3/16'],
      '--sets-within: "10.1.2.3/16" is not an IP prefix without host bits; write 10.1.0.0/16',
    ],
    [
      ['--sets-from', '/x', '--sets-within', 'all'],
      '--sets-within: "all" is not an IP prefix; write prefixes with commas between them, such as 10.50.0.0/16,fd00:10:50::/48',
    ],
    [['--at-once', '3', '--no-gate'], '--at-once: has no effect with --no-gate; leave out one of them'],
  ])('%j', async (words, says) => {
    const { bin } = pluginDirectory()
    expect(await tool(['agent', '--to', bin, ...words])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route agent: ${says}\n`,
    })
    expect(readdirSync(bin)).toEqual([])
  })
})
