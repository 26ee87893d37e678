import { chmodSync, readdirSync } from 'node:fs'
import { rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { EXECUTABLE, INSTALLED, pluginDirectory, script, temporaryDirectory, VERSION } from './plugin-directory.ts'
import { tool } from './tool.ts'

const check = (bin: string, shell = 'exec "$@"', ...words: string[]) =>
  tool(['install', '--check', '--to', bin, ...words], { shell })
const ok = (file: string, version = VERSION) => ({ exitCode: 0, stdout: `${file}: ${version} answers\n`, stderr: '' })
const fails = (line: string | RegExp) => ({
  exitCode: 2,
  stdout: '',
  stderr: typeof line === 'string' ? `x-calico-route install: ${line}\n` : expect.stringMatching(line),
})

/** The node, or what is mounted as its root, has no ip(8). */
async function withoutIp(root = ''): Promise<string> {
  const empty = path.join(temporaryDirectory(), 'empty')
  await writeFile(empty, '')
  return `for ip in /usr/sbin/ip /usr/bin/ip /sbin/ip /bin/ip; do
    ! [ -e "${root}$ip" ] || mount --bind ${empty} "${root}$(realpath "$ip")"
  done; exec "$@"`
}

describe('install --check', () => {
  test('tells which version answers, through its gate or without one, and changes nothing', async () => {
    const { bin, file } = pluginDirectory()
    for (const flag of [[], ['--no-gate']]) {
      await tool(['install', '--to', bin, ...flag])
      const before = readdirSync(bin)
      expect(await check(bin)).toEqual(ok(file))
      expect(readdirSync(bin)).toEqual(before)
    }
  })

  test('asks VERSION of the file that a runtime finds, not of what its gate leads to', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    // A node without a shell.
    const { stderr } = await check(bin, 'mount --bind /dev/null "$(realpath /bin/sh)"; exec "$@"')
    expect(stderr).toMatch(/^x-calico-route install: VERSION: x-calico-route does not answer on this node: /)
    expect(await check(bin)).toEqual(ok(file))
  })

  test('asks STATUS of the node, unless it is not to', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    const status = fails(/^x-calico-route install: STATUS: ADD could not work on this node: .*\(code 50\)\n$/)
    expect(await check(bin, await withoutIp())).toEqual(status)
    expect(await check(bin, await withoutIp(), '--no-status')).toEqual(ok(file))

    const host = temporaryDirectory()
    const asHost = `mount --rbind / ${host}`
    const words = ['--host-root', host]
    expect(await check(bin, `${asHost}; ${await withoutIp(host)}`, ...words)).toEqual(status)
    expect(await check(bin, `${asHost}; ${await withoutIp()}`, ...words)).toEqual(ok(`${host}${file}`))
  })

  test.each<[string, (file: string) => unknown, string]>([
    ['is not there', (file) => rm(file), 'not installed; run x-calico-route install'],
    [
      'leads nowhere',
      (file) => rm(path.join(path.dirname(file), EXECUTABLE)),
      `does not start: its gate leads to ${EXECUTABLE}, which is missing; run x-calico-route install`,
    ],
    [
      'is half a file',
      (file) => writeFile(file, 'text'),
      'does not start: it is not a program for this machine, or only part of one; run x-calico-route install',
    ],
    ['is another program', (file) => script(file, 'echo v2'), 'is another program, which answers --version with "v2"'],
    [
      'others can change',
      (file) => chmodSync(file, 0o757),
      `can be changed by anybody (mode 0757), so it was not run; chmod go-w FILE`,
    ],
  ])('fails where the plugin %s', async (_, make, says) => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    await make(file)
    expect(await check(bin)).toEqual(fails(`${file}: ${says.replace('FILE', file)}`))
  })

  test('fails where it is a link', async () => {
    const { bin, file } = pluginDirectory()
    await symlink('/bin/true', file)
    expect(await check(bin)).toEqual(fails(`${file}: is a symbolic link to /bin/true`))
  })

  test('leaves what others have to do alone', async () => {
    const { bin } = pluginDirectory()
    await tool(['install', '--to', bin])
    for (const words of [['--force'], ['--at-once', '3'], ['--no-gate']])
      expect(await check(bin, undefined, ...words)).toEqual(fails(`--check: installs nothing; leave out ${words[0]}`))
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })
})
