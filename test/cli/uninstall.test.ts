import { lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import {
  NAME,
  otherBuild,
  pluginDirectory,
  script,
  temporaries,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { cacheEntry, LIST } from './result-cache.ts'
import { staying, tool } from './tool.ts'

const refused = (line: string) => ({ exitCode: 2, stdout: '', stderr: `${line}\n` })
const done = (line: string) => ({ exitCode: 0, stdout: `${line}\n`, stderr: '' })

describe('uninstall', () => {
  test('removes any version of the plugin; a second time is no error', async () => {
    const { bin, file } = pluginDirectory()
    await rename(await otherBuild(bin), file)
    expect(await tool(['uninstall', '--from', bin])).toEqual(done(`${file}: ${VERSION} removed`))
    expect(readdirSync(bin)).toEqual([])
    expect(await tool(['uninstall', '--from', bin])).toEqual(done(`${file}: is not installed`))
    await script(file, 'echo x-calico-route 0.0.9+abc')
    expect(await tool(['uninstall', '--from', bin])).toEqual(done(`${file}: x-calico-route 0.0.9+abc removed`))
  })

  test.each([
    {
      what: 'another program',
      make: (file: string) => script(file, 'echo v2'),
      says: 'is another program, which answers --version with "v2"',
    },
    {
      what: 'what does not start',
      make: (file: string) => writeFile(file, 'text'),
      says: 'does not start (it is not a program for this machine, or only part of one), so it may be another program',
    },
    {
      what: 'a symbolic link',
      make: async (file: string) => symlinkSync(PLUGIN, file),
      says: `is a symbolic link to ${PLUGIN}, which install never makes`,
    },
    {
      what: 'a directory',
      make: async (file: string) => mkdirSync(file),
      says: 'is a directory, which install never makes',
    },
  ])('leaves $what', async ({ make, says }) => {
    const { bin, file } = pluginDirectory()
    await make(file)
    const { ino } = lstatSync(file)
    expect(await tool(['uninstall', '--from', bin])).toEqual(
      refused(`x-calico-route uninstall: ${file}: ${says}; if nobody needs it, remove it by hand; nothing was changed`),
    )
    expect(lstatSync(file).ino).toBe(ino)
    expect(temporaries(bin)).toEqual([])
  })
})

describe('uninstall, where the plugin is in use,', () => {
  const CONFLIST = JSON.stringify(LIST, null, 2)

  const DIRECTORIES = ['/etc', '/var/lib']

  /** An old version of the plugin, on a node that has these files, by their paths. */
  async function installed(files: Readonly<Record<string, string>>) {
    const { bin, file } = pluginDirectory()
    await script(file, 'echo x-calico-route 0.0.9+abc')
    const node = temporaryDirectory()
    for (const directory of DIRECTORIES) await mkdir(path.join(node, directory), { recursive: true })
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(node, name)), { recursive: true })
      await writeFile(path.join(node, name), text)
    }
    const shell = (root = '') =>
      [...DIRECTORIES.map((name) => `mount --bind ${node}${name} ${root}${name}`), 'exec "$@"'].join('\n')
    return { bin, file, node, shell }
  }

  const stillThere = (file: string, users: string) =>
    refused(
      `x-calico-route uninstall: ${file}: still in use: ${users}; first remove it from the configurations and delete those pods, or give --force; nothing was changed`,
    )
  const removed = (file: string) => done(`${file}: x-calico-route 0.0.9+abc removed`)

  test.each([
    ['a plugin list', '/etc/cni/net.d/10-calico.conflist', CONFLIST],
    ["Multus' configuration", '/etc/cni/net.d/00-multus.conf', `{"type": "multus", "delegates": [${CONFLIST}]}`],
    ['one that Multus takes by name', '/etc/cni/multus/net.d/underlay.json', CONFLIST],
    ['one that is no JSON any more', '/etc/cni/net.d/10-calico.conf', CONFLIST.slice(0, -3)],
  ])('by a configuration, says by which: %s', async (_, configuration, text) => {
    const { bin, file, shell } = await installed({ [configuration]: text })
    const words = ['uninstall', '--from', bin]
    expect(await tool(words, { shell: shell() })).toEqual(stillThere(file, `${configuration} names it`))
    expect(readdirSync(bin)).toEqual([NAME])
    expect(await tool([...words, '--force'], { shell: shell() })).toEqual(removed(file))
    expect(readdirSync(bin)).toEqual([])
  })

  test.each([
    ['a plugin list without it', '/etc/cni/net.d/10-calico.conflist', '{"plugins": [{"type": "calico"}]}'],
    ['a file that no runtime reads', '/etc/cni/net.d/10-calico.conflist.bak', CONFLIST],
    ['its name in another place', '/etc/cni/net.d/notes.json', '{"about": "x-calico-route"}'],
    ['a directory', '/etc/cni/net.d/kept.conf/10-calico.conflist', CONFLIST],
  ])('is not kept by %s', async (_, name, text) => {
    const { bin, file, shell } = await installed({ [name]: text })
    expect(await tool(['uninstall', '--from', bin], { shell: shell() })).toEqual(removed(file))
  })

  test('by pods, says by which, and leaves those out that are gone or have another chain', async () => {
    const namespaces = temporaryDirectory()
    const at = (name: string) => path.join(namespaces, name)
    await writeFile(at('living'), '')
    const other = { config: Buffer.from('{"plugins": [{"type": "calico"}]}').toString('base64') }
    const entries = {
      one: cacheEntry('abc0123456789', at('living'), {}),
      gone: cacheEntry('bcd0123456789', at('gone'), {}),
      other: cacheEntry('cde0123456789', at('living'), {}, other),
      untold: cacheEntry('def0123456789', '', {}, { cniArgs: undefined }),
    }
    const { bin, file, shell } = await installed(
      Object.fromEntries(Object.entries(entries).map(([name, text]) => [`/var/lib/cni/results/${name}`, text])),
    )
    expect(await tool(['uninstall', '--from', bin], { shell: shell() })).toEqual(
      stillThere(file, 'eth0 of tenant/abc, eth0 of def012345678 use it'),
    )
  })

  test('by who knows whom, says which entry of the cache it cannot read', async () => {
    const entry = '/var/lib/cni/multus/results/cut-off'
    const { bin, file, shell } = await installed({ [entry]: cacheEntry('abc', '', {}).slice(0, 50) })
    const { stderr } = await tool(['uninstall', '--from', bin], { shell: shell() })
    expect(stderr).toContain(`${file}: still in use: ${entry} may name it, but cannot be read: not JSON: `)
  })

  test('names no more than five of many pods', async () => {
    const entries = Array.from({ length: 7 }, (_, i) => [`/var/lib/cni/results/${i}`, cacheEntry(`${i}00`, '', {})])
    const { bin, shell } = await installed(Object.fromEntries(entries))
    const { stderr } = await tool(['uninstall', '--from', bin], { shell: shell() })
    expect(stderr).toContain('eth0 of tenant/400 and 2 more use it')
  })

  test('looks for all of that below --host-root', async () => {
    const host = temporaryDirectory()
    const configuration = '/etc/cni/net.d/10-calico.conflist'
    const { bin, file, shell } = await installed({ [configuration]: CONFLIST })
    const words = ['uninstall', '--from', bin, '--host-root', host]
    const asHost = `mount --rbind / ${host}`
    expect(await tool(words, { shell: `${asHost}\n${shell(host)}` })).toEqual(
      stillThere(`${host}${file}`, `${host}${configuration} names it`),
    )
    expect(await tool(words, { shell: `${asHost}\n${shell()}` })).toEqual(removed(`${host}${file}`))
  })

  test('finds a configuration where a link leads on the node, not in this container', async () => {
    const host = temporaryDirectory()
    for (const directory of ['etc/cni', 'opt/cni/bin', 'srv/net.d'])
      mkdirSync(path.join(host, directory), { recursive: true })
    symlinkSync('/srv/net.d', path.join(host, 'etc/cni/net.d'))
    await writeFile(path.join(host, 'srv/net.d/10-calico.conflist'), CONFLIST)
    await script(path.join(host, 'opt/cni/bin', NAME), 'echo x-calico-route 0.0.9+abc')
    const words = ['uninstall', '--from', '/opt/cni/bin', '--host-root', host]
    const shell = `for one in bin lib lib64 usr proc; do ! [ -e /$one ] || { mkdir -p ${host}/$one; mount --rbind /$one ${host}/$one; }; done; exec "$@"`
    expect((await tool(words, { shell })).stderr).toContain(
      `still in use: ${host}/etc/cni/net.d/10-calico.conflist names it`,
    )
    expect(readdirSync(path.join(host, 'opt/cni/bin'))).toEqual([NAME])
  })

  test('waits with --stay until it is not, says once for what, and obeys a signal', async () => {
    const { bin, file, node, shell } = await installed({ '/etc/cni/net.d/10-calico.conflist': CONFLIST })
    const words = ['uninstall', '--from', bin, '--stay', '--every', '0.1']
    const { child, until } = staying(words, { shell: shell() })
    await until('trying again every 0.1 s\n')
    expect(readdirSync(bin)).toEqual([NAME])
    await rm(path.join(node, 'etc/cni/net.d/10-calico.conflist'))
    expect(await until('is not installed\n')).not.toContain('still in use')
    expect(readdirSync(bin)).toEqual([])

    // Somebody installs it again.
    await script(path.join(node, 'new'), 'echo x-calico-route 9.9.9+abc')
    await rename(path.join(node, 'new'), file)
    await until(`${file}: x-calico-route 9.9.9+abc removed\n`)
    expect(readdirSync(bin)).toEqual([])
    child.kill('SIGTERM')
    expect(await child).toMatchObject({ exitCode: 0 })
  })
})
