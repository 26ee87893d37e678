import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { copyFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import {
  DIGEST,
  gateIn,
  NAME,
  pluginDirectory,
  script,
  sha256,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { tool } from './tool.ts'

/** What is wrong with a node, by mounts that end with the call. The shell has it in "$@". */
const START = 'exec "$@"'

/** ip(8) cannot be started where `root` is the root directory. Not by PATH: STATUS has one of its own. */
const withoutIp = (root: string, empty: string) =>
  `for ip in /usr/sbin/ip /usr/bin/ip /sbin/ip /bin/ip; do
     ! [ -e "${root}$ip" ] || mount --bind ${empty} "${root}$(realpath "$ip")"
   done`

async function emptyFile(): Promise<string> {
  const file = path.join(temporaryDirectory(), 'empty')
  await writeFile(file, '')
  return file
}

const OLD = 'echo x-calico-route 0.0.9+abc'

/** A directory with an older version in it, and the proof that it is still there, alone. */
async function withOld() {
  const { bin, file } = pluginDirectory()
  await script(file, OLD)
  const expectOld = () => {
    expect(readFileSync(file, 'utf8')).toContain(OLD)
    expect(readdirSync(bin)).toEqual([NAME])
  }
  return { bin, file, expectOld }
}

const refused = (line: string | RegExp) => ({
  exitCode: 2,
  stdout: '',
  stderr: typeof line === 'string' ? `${line}\n` : expect.stringMatching(line),
})

describe('the old version stays', () => {
  test('where the disk is too small for the new one, and its part of it is removed', async () => {
    const { bin, file } = pluginDirectory()
    const shell = `mount -t tmpfs -o size=40m,mode=755 none ${bin}
      printf '#!/bin/sh\\n${OLD}\\n' > ${file}; chmod 755 ${file}
      status=0; "$@" || status=$?
      ls -A ${bin}; cat ${file}
      exit $status`
    expect(await tool(['install', '--to', bin], { shell })).toEqual({
      exitCode: 2,
      stdout: `${NAME}\n#!/bin/sh\n${OLD}\n`,
      stderr: `x-calico-route install: ${file}: no space left on the file system; free some (see df); nothing was changed\n`,
    })
  })

  test('where the directory is mounted read-only', async () => {
    const { bin, file, expectOld } = await withOld()
    const shell = `mount --bind ${bin} ${bin}; mount -o remount,bind,ro ${bin}; ${START}`
    expect(await tool(['install', '--to', bin], { shell })).toEqual(
      refused(
        `x-calico-route install: ${file}: the file system is read-only; mount it read-write, or give a writable directory; nothing was changed`,
      ),
    )
    expectOld()
  })

  test('where the new one cannot be started', async () => {
    const { bin, expectOld } = await withOld()
    const shell = `mount --bind ${bin} ${bin}; mount -o remount,bind,noexec ${bin}; ${START}`
    // Nor can the old one.
    expect(await tool(['install', '--to', bin], { shell })).toEqual(
      refused(
        /^x-calico-route install: VERSION: x-calico-route does not answer on this node: spawn \S+ EACCES; .*noexec.*\n$/,
      ),
    )
    expectOld()
  })

  test('where it is a mount point', async () => {
    const { bin, file, expectOld } = await withOld()
    const shell = `mount --bind ${file} ${file}; ${START}`
    expect(await tool(['install', '--to', bin], { shell })).toEqual(
      refused(
        `x-calico-route install: ${file}: it is a mount point; unmount it, or mount its directory instead; nothing was changed`,
      ),
    )
    expectOld()
  })

  test('where the user may not write', async () => {
    const { bin, file, expectOld } = await withOld()
    // Without capabilities even root is bound to a mode.
    const shell = `chmod 555 ${bin}; exec setpriv --bounding-set=-all --inh-caps=-all "$@"`
    expect(await tool(['install', '--to', bin], { shell })).toEqual(
      refused(`x-calico-route install: ${file}: permission denied; run this as root; nothing was changed`),
    )
    expectOld()
  })

  test('where ADD could not work, which STATUS tells, unless STATUS is not to be asked', async () => {
    const { bin, file, expectOld } = await withOld()
    const shell = `${withoutIp('', await emptyFile())}; ${START}`
    expect(await tool(['install', '--to', bin], { shell })).toEqual(
      refused(
        /^x-calico-route install: STATUS: ADD could not work on this node: .*\bip\b.* \(code 50\); correct that, or give --no-status to install anyway; nothing was changed\n$/,
      ),
    )
    expectOld()
    expect(await tool(['install', '--to', bin, '--no-status'], { shell })).toEqual({
      exitCode: 0,
      stdout: `${file}: ${VERSION} installed, replaces x-calico-route 0.0.9+abc\n`,
      stderr: 'STATUS: not called, so ADD may fail on this node\n',
    })
  })

  test('also where it is the same version: STATUS is asked all the same', async () => {
    const { bin, file } = pluginDirectory()
    await copyFile(PLUGIN, file)
    const shell = `${withoutIp('', await emptyFile())}; ${START}`
    expect(await tool(['install', '--to', bin], { shell })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('(code 50)'),
    })
    expect(await sha256(file)).toBe(await sha256(PLUGIN))
  })
})

describe('--host-root', () => {
  /** Our own root directory once more, as a container has the node's. */
  const asHost = (host: string) => `mount --rbind / ${host}`

  test('has the tools of the node, not ours, decide whether ADD can work', async () => {
    const { bin, file } = pluginDirectory()
    const host = temporaryDirectory()
    const empty = await emptyFile()
    const words = ['install', '--host-root', host, '--to', bin]
    const without = (root: string) => `${asHost(host)}; ${withoutIp(root, empty)}; ${START}`
    expect(await tool(words, { shell: without(host) })).toEqual(
      refused(/^x-calico-route install: STATUS: .*\(code 50\)/),
    )
    expect(readdirSync(bin)).toEqual([])
    const installed = { exitCode: 0, stdout: `${host}${file}: ${VERSION} installed\n`, stderr: '' }
    expect(await tool(words, { shell: without('') })).toEqual(installed)
    expect((await gateIn(bin)).digest).toBe(DIGEST)

    const removed = { exitCode: 0, stdout: `${host}${file}: ${VERSION} removed\n`, stderr: '' }
    const uninstall = ['uninstall', '--host-root', host, '--from', bin]
    expect(await tool(uninstall, { shell: `${asHost(host)}; ${START}` })).toEqual(removed)
    expect(readdirSync(bin)).toEqual([])
  })

  test('never writes outside of it, whatever its links say', async () => {
    const { bin } = pluginDirectory()
    const host = temporaryDirectory()
    symlinkSync(bin, path.join(host, 'plugins'))
    expect(await tool(['install', '--host-root', host, '--to', '/plugins'])).toEqual(
      refused(
        `x-calico-route install: --to: ${host}/plugins does not exist; give the directory where the runtime looks for plugins`,
      ),
    )
    expect(await tool(['install', '--host-root', host, '--to', `../..${bin}`])).toMatchObject({ exitCode: 2 })
    symlinkSync(`../../../..${bin}`, path.join(host, 'above'))
    expect(await tool(['install', '--host-root', host, '--to', '/above'])).toMatchObject({ exitCode: 2 })
    expect(readdirSync(bin)).toEqual([])
  })

  test('says which capability it takes', async () => {
    const { bin } = pluginDirectory()
    const host = temporaryDirectory()
    const shell = `${asHost(host)}; exec setpriv --bounding-set=-sys_chroot --inh-caps=-sys_chroot "$@"`
    expect(await tool(['install', '--host-root', host, '--to', bin], { shell })).toEqual(
      refused(/^x-calico-route install: --host-root \S+: cannot be entered: nsenter: .*; add CAP_SYS_CHROOT\n$/),
    )
    expect(readdirSync(bin)).toEqual([])
  })
})
