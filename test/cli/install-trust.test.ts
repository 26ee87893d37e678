import { chmodSync, chownSync, lchownSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { agent } from './agent.ts'
import {
  EXECUTABLE,
  INSTALLED,
  NAME,
  pluginDirectory,
  script,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { tool } from './tool.ts'

/** A user of the node, and a group. */
const SOMEBODY = 1001

/** What would be run as root if somebody put it where we look: it passes for the plugin, and leaves a proof. */
const plant = (file: string, proof: string) => script(file, `echo > ${proof}; echo x-calico-route 0.0.9+abc`)

/** A directory of plugins with such a file in it, below another directory. */
async function planted() {
  const proof = path.join(temporaryDirectory(), 'proof')
  const parent = path.join(temporaryDirectory(), 'parent')
  const bin = path.join(parent, 'bin')
  mkdirSync(bin, { recursive: true })
  await plant(path.join(bin, NAME), proof)
  const wasRun = () => statSync(proof, { throwIfNoEntry: false }) !== undefined
  return { parent, bin, file: path.join(bin, NAME), proof, wasRun }
}

type Planted = Awaited<ReturnType<typeof planted>>

const CHOOSES = 'who could then choose what root runs'

/** Each makes what is named hold for a directory, and says which is complained of, by what words. */
const WEAK: readonly { what: string; make: (at: Planted) => [to: string, complaint: string] }[] = [
  {
    what: 'that others may write to',
    make: ({ bin }) => {
      chmodSync(bin, 0o757)
      return [bin, `${bin} can be changed by anybody (mode 0757), ${CHOOSES}; chmod go-w ${bin}`]
    },
  },
  {
    what: 'that a group may write to',
    make: ({ bin }) => {
      chownSync(bin, 0, SOMEBODY)
      chmodSync(bin, 0o775)
      return [bin, `${bin} can be changed by group 1001 (mode 0775), ${CHOOSES}; chmod go-w ${bin}`]
    },
  },
  {
    what: 'that is somebody’s',
    make: ({ bin }) => {
      chownSync(bin, SOMEBODY, 0)
      return [bin, `${bin} belongs to uid 1001, ${CHOOSES}; chown root ${bin}`]
    },
  },
  {
    what: 'that everybody may make files in, though not remove any',
    make: ({ bin }) => {
      chmodSync(bin, 0o1777)
      return [bin, `${bin} can be changed by anybody (mode 1777), ${CHOOSES}; give another directory`]
    },
  },
  {
    what: 'in somebody’s directory',
    make: ({ parent, bin }) => {
      chownSync(parent, SOMEBODY, 0)
      return [bin, `${parent} belongs to uid 1001, ${CHOOSES}; chown root ${parent}`]
    },
  },
  {
    what: 'in one that others may rename it in',
    make: ({ parent, bin }) => {
      chmodSync(parent, 0o777)
      return [bin, `${parent} can be changed by anybody (mode 0777), ${CHOOSES}; chmod go-w ${parent}`]
    },
  },
  {
    what: 'in a sticky one of somebody’s',
    make: ({ parent, bin }) => {
      chownSync(parent, SOMEBODY, 0)
      chmodSync(parent, 0o1755)
      return [bin, `${parent} belongs to uid 1001, ${CHOOSES}; chown root ${parent}`]
    },
  },
  {
    what: 'below somebody’s in a sticky one',
    make: ({ parent }) => {
      chmodSync(parent, 0o1777)
      const theirs = path.join(parent, 'theirs')
      mkdirSync(path.join(theirs, 'bin'), { recursive: true })
      chownSync(theirs, SOMEBODY, 0)
      return [`${theirs}/bin`, `${theirs} belongs to uid 1001, ${CHOOSES}; chown root ${theirs}`]
    },
  },
  {
    what: 'by somebody’s link in a sticky one',
    make: ({ parent, bin }) => {
      chmodSync(parent, 0o1777)
      const link = path.join(parent, 'link')
      symlinkSync(bin, link)
      lchownSync(link, SOMEBODY, 0)
      return [link, `${link} belongs to uid 1001, ${CHOOSES}; chown -h root ${link}`]
    },
  },
  {
    what: 'by a link into somebody’s directory',
    make: ({ parent, bin }) => {
      const link = path.join(temporaryDirectory(), 'link')
      symlinkSync(bin, link)
      chownSync(parent, SOMEBODY, 0)
      return [link, `${parent} belongs to uid 1001, ${CHOOSES}; chown root ${parent}`]
    },
  },
  {
    what: 'by a link through somebody’s directory, whose own link leads to a good one',
    make: ({ bin }) => {
      const theirs = path.join(temporaryDirectory(), 'theirs')
      mkdirSync(theirs)
      symlinkSync(bin, path.join(theirs, 'on'))
      chownSync(theirs, SOMEBODY, 0)
      const link = path.join(temporaryDirectory(), 'link')
      symlinkSync(path.relative(path.dirname(link), path.join(theirs, 'on')), link)
      return [link, `${theirs} belongs to uid 1001, ${CHOOSES}; chown root ${theirs}`]
    },
  },
]

describe('install and uninstall run and change nothing in a directory', () => {
  test.each(WEAK)('$what', async ({ make }) => {
    const at = await planted()
    const [directory, complaint] = make(at)
    const before = readdirSync(at.bin)
    for (const [command, option] of [
      ['install', '--to'],
      ['uninstall', '--from'],
    ] as const) {
      expect(await tool([command, option, directory, '--force'])).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: `x-calico-route ${command}: ${option}: ${complaint}; nothing was changed\n`,
      })
    }
    expect(at.wasRun()).toBe(false)
    expect(readdirSync(at.bin)).toEqual(before)
  })

  test('below a --host-root that is somebody’s', async () => {
    const { bin, wasRun } = await planted()
    const host = temporaryDirectory()
    const words = ['install', '--host-root', `${host}/root`, '--to', bin]
    const shell = `mkdir ${host}/root; mount --rbind / ${host}/root; chown 1001 ${host}; exec "$@"`
    expect(await tool(words, { shell })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route install: --host-root: ${host} belongs to uid 1001, ${CHOOSES}; chown root ${host}; nothing was changed\n`,
    })
    expect(wasRun()).toBe(false)
  })

  test('that is somebody’s below a --host-root', async () => {
    const { bin, wasRun } = await planted()
    chownSync(bin, SOMEBODY, 0)
    const host = temporaryDirectory()
    const words = ['install', '--host-root', host, '--to', bin]
    expect(await tool(words, { shell: `mount --rbind / ${host}; exec "$@"` })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route install: --to: ${host}${bin} belongs to uid 1001, ${CHOOSES}; chown root ${host}${bin}; nothing was changed\n`,
    })
    expect(wasRun()).toBe(false)
  })

  test('that becomes somebody’s while they stay', async () => {
    const { bin, file } = pluginDirectory()
    const { proof, wasRun } = await planted()
    // Seldom enough not to be calling the plugin just when it becomes somebody's.
    const { until, end } = agent(['--to', bin, '--interval', '2', '--no-status', '--cache', temporaryDirectory()])
    await until(/^ready$/)
    chownSync(bin, SOMEBODY, 0)
    await plant(`${file}.new`, proof)
    await rename(`${file}.new`, file)
    await until(`--to: ${bin} belongs to uid 1001`)
    await sleep(500)
    expect(wasRun()).toBe(false)
    expect(readdirSync(bin)).toEqual(INSTALLED)
    chownSync(bin, 0, 0)
    await until(`${file}: now x-calico-route 0.0.9+abc`)
    await end()
  })
})

describe('install takes a directory', () => {
  const works = async (directory: string, file: string) =>
    expect(await tool(['install', '--to', directory])).toEqual({
      exitCode: 0,
      stdout: `${file}: ${VERSION} installed\n`,
      stderr: '',
    })

  test('that the group of root may write to, as archives of the reference plugins make it', async () => {
    const { bin, file } = pluginDirectory()
    chmodSync(bin, 0o775)
    await works(bin, file)
  })

  test('of root’s in a sticky one that everybody may write to, as /tmp is', async () => {
    const { bin, file } = pluginDirectory()
    chmodSync(path.dirname(bin), 0o1777)
    await works(bin, file)
  })

  test('by links of root’s, relative and absolute, up and down', async () => {
    const { bin, file } = pluginDirectory()
    const parent = path.dirname(bin)
    symlinkSync(`${parent}/./there`, `${parent}/here`)
    symlinkSync(`../${path.basename(parent)}/bin`, `${parent}/there`)
    await works(`${parent}/here/../here`, file)
    symlinkSync('circle', `${parent}/circle`)
    expect(await tool(['install', '--to', `${parent}/circle`])).toMatchObject({
      exitCode: 2,
      stderr: `x-calico-route install: --to: the symbolic links in ${parent}/circle form a loop\n`,
    })
  })

  test('of the user’s own who is not root', async () => {
    const { bin, file } = pluginDirectory()
    chmodSync(path.dirname(bin), 0o1777)
    chownSync(bin, SOMEBODY, SOMEBODY)
    const shell = 'exec setpriv --reuid=1001 --clear-groups "$@"'
    expect(await tool(['install', '--to', bin, '--no-status'], { shell })).toMatchObject({
      exitCode: 0,
      stdout: `${file}: ${VERSION} installed\n`,
    })
    expect(lstatSync(file).uid).toBe(SOMEBODY)
  })
})

describe('a file in the place of the plugin that others can change', () => {
  const FAULTS = [
    ['belongs to uid 1001', 'chown root', (file: string) => chownSync(file, SOMEBODY, 0)],
    ['can be changed by anybody (mode 0777)', 'chmod go-w', (file: string) => chmodSync(file, 0o777)],
  ] as const

  test.each(FAULTS)('is not run, and replaced if forced: one that %s', async (fault, remedy, make) => {
    const { bin, file, wasRun } = await planted()
    make(file)
    const refused = (command: string, advice: string) => ({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route ${command}: ${file}: ${fault}, so it was not run; ${remedy} ${file}, or ${advice}; nothing was changed\n`,
    })
    expect(await tool(['uninstall', '--from', bin])).toEqual(
      refused('uninstall', 'if nobody needs it, remove it by hand'),
    )
    expect(await tool(['install', '--to', bin])).toEqual(refused('install', 'give --force to replace it'))
    expect(readdirSync(bin)).toEqual([NAME])
    expect(await tool(['install', '--to', bin, '--force'])).toMatchObject({
      exitCode: 0,
      stdout: `${file}: ${VERSION} installed, replaces a file that others can change (${fault})\n`,
    })
    expect(wasRun()).toBe(false)
  })

  test.each(FAULTS)('is no part of an installed plugin: what its gate leads to %s', async (fault, remedy, make) => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    make(path.join(bin, EXECUTABLE))
    expect(await tool(['install', '--to', bin])).toMatchObject({
      exitCode: 2,
      stderr: `x-calico-route install: ${file}: its gate leads to ${EXECUTABLE}, which ${fault}, so it was not run; ${remedy} ${bin}/${EXECUTABLE}, or give --force to replace it; nothing was changed\n`,
    })
    const { until } = agent(['--to', bin, '--force', '--interval', '0.3', '--cache', temporaryDirectory()])
    await until('replaces a file that others can change (its gate leads to')
    expect(lstatSync(path.join(bin, EXECUTABLE))).toMatchObject({ uid: 0, mode: 0o100755 })
    make(file)
    await until(`${file}: ${VERSION} installed, replaces a file that others can change (${fault})`)
    expect(lstatSync(file)).toMatchObject({ uid: 0, mode: 0o100755 })
  })
})
