import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { chmod, copyFile, open, truncate, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import {
  DIGEST,
  gateIn,
  INSTALLED,
  NAME,
  pluginDirectory,
  script,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { tool } from './tool.ts'

/** Exit status 2, one line on stderr, and what was there is there. */
const refused = (line: string) => ({ exitCode: 2, stdout: '', stderr: `${line}\n` })
const done = (line: string) => ({ exitCode: 0, stdout: `${line}\n`, stderr: '' })

async function expectInstalled(bin: string): Promise<void> {
  expect((await gateIn(bin)).digest).toBe(DIGEST)
  expect(readdirSync(bin)).toEqual(INSTALLED)
}

describe('install', () => {
  test('puts the running executable into the directory, whatever the umask', async () => {
    const { bin, file } = pluginDirectory()
    expect(await tool(['install', '--to', bin], { shell: 'umask 077; exec "$@"' })).toEqual(
      done(`${file}: ${VERSION} installed`),
    )
    await expectInstalled(bin)
  })

  test('makes the directory in which calls and repairs take turns, and uninstall removes it', async () => {
    const { bin, file } = pluginDirectory()
    // Other tests have theirs.
    const shell = `mkdir -p /run/x-calico-route; mount -t tmpfs none /run/x-calico-route; cd /run/x-calico-route
      "$@" >/dev/null; stat --format '%n %a' *
      ln -s call turns/call.abc.1.2; ${PLUGIN} uninstall --from ${bin} >/dev/null; ls`
    expect(await tool(['install', '--to', bin], { shell })).toEqual({ exitCode: 0, stdout: 'turns 700\n', stderr: '' })
    expect(existsSync(file)).toBe(false)
  })

  test('leaves alone what is installed already', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    const { ino, ctimeMs } = lstatSync(file)
    expect(await tool(['install', '--to', bin])).toEqual(done(`${file}: ${VERSION} is already installed`))
    expect(lstatSync(file)).toMatchObject({ ino, ctimeMs })
  })

  test('installs again where the mode is wrong', async () => {
    const { bin, file } = pluginDirectory()
    await copyFile(PLUGIN, file)
    await chmod(file, 0o4755)
    expect(await tool(['install', '--to', bin])).toEqual(done(`${file}: ${VERSION} installed, replaces ${VERSION}`))
    await expectInstalled(bin)
  })

  test('says which older version it replaces', async () => {
    const { bin, file } = pluginDirectory()
    await script(file, 'echo x-calico-route 0.0.9+abc')
    expect(await tool(['install', '--to', bin])).toEqual(
      done(`${file}: ${VERSION} installed, replaces x-calico-route 0.0.9+abc`),
    )
    await expectInstalled(bin)
  })

  test.each([
    { what: 'empty', size: 0, says: 'it is not a program for this machine, or only part of one' },
    { what: 'the first page of it', size: 4096, says: 'it is not a program for this machine, or only part of one' },
    { what: 'half of it', size: 50_000_000, says: 'killed by SIGSEGV' },
  ])('replaces a broken copy: $what', async ({ size, says }) => {
    const { bin, file } = pluginDirectory()
    await copyFile(PLUGIN, file)
    await truncate(file, size)
    expect(await tool(['install', '--to', bin])).toEqual(
      done(`${file}: ${VERSION} installed, replaces a file that does not start: ${says}`),
    )
    await expectInstalled(bin)
  })

  test('replaces a copy for another machine', async () => {
    const { bin, file } = pluginDirectory()
    await copyFile(PLUGIN, file)
    const handle = await open(file, 'r+')
    // e_machine: a Motorola 68000. @see elf(5)
    await handle.write(Buffer.from([4, 0]), 0, 2, 18)
    await handle.close()
    expect(await tool(['install', '--to', bin])).toEqual(
      done(
        `${file}: ${VERSION} installed, replaces a file that does not start: it is not a program for this machine, or only part of one`,
      ),
    )
    await expectInstalled(bin)
  })

  test('does not have a shell run what is no program', async () => {
    const { bin, file } = pluginDirectory()
    const proof = path.join(bin, 'proof')
    await writeFile(file, `echo > ${proof}`, { mode: 0o755 })
    expect((await tool(['install', '--to', bin])).exitCode).toBe(0)
    expect(existsSync(proof)).toBe(false)
  })

  test('refuses to replace another program, until it is told to', async () => {
    const { bin, file } = pluginDirectory()
    await script(file, 'echo CNI bridge plugin v1.7.1')
    const text = readFileSync(file, 'utf8')
    const program = 'another program, which answers --version with "CNI bridge plugin v1.7.1"'
    expect(await tool(['install', '--to', bin])).toEqual(
      refused(
        `x-calico-route install: ${file}: is ${program}; move it away, or give --force to replace it; nothing was changed`,
      ),
    )
    expect(readFileSync(file, 'utf8')).toBe(text)
    expect(await tool(['install', '--to', bin, '--force'])).toEqual(
      done(`${file}: ${VERSION} installed, replaces ${program}`),
    )
    await expectInstalled(bin)
  })

  test('refuses to replace a directory, also if forced', async () => {
    const { bin, file } = pluginDirectory()
    mkdirSync(file)
    expect(await tool(['install', '--to', bin, '--force'])).toEqual(
      refused(
        `x-calico-route install: ${file}: is a directory; remove it, or give another directory; nothing was changed`,
      ),
    )
    expect(readdirSync(bin)).toEqual([NAME])
  })

  test('replaces a symbolic link itself, not what it leads to', async () => {
    const { bin, file } = pluginDirectory()
    const elsewhere = path.join(temporaryDirectory(), 'elsewhere')
    await script(elsewhere, 'echo somebody else')
    symlinkSync(elsewhere, file)
    expect(await tool(['install', '--to', bin])).toEqual(
      done(`${file}: ${VERSION} installed, replaces a symbolic link to ${elsewhere}, which stays as it is`),
    )
    await expectInstalled(bin)
    expect(readFileSync(elsewhere, 'utf8')).toContain('somebody else')
  })

  test('names --to when there is no such directory', async () => {
    expect(await tool(['install', '--to', '/run/there/is/none'])).toEqual(
      refused(
        'x-calico-route install: --to: /run/there/is/none does not exist; give the directory where the runtime looks for plugins',
      ),
    )
    expect(await tool(['install', '--host-root', '/run/there/is/none'])).toEqual(
      refused(
        "x-calico-route install: --host-root: /run/there/is/none does not exist; mount the node's root directory there",
      ),
    )
    expect(await tool(['install', '--to', PLUGIN])).toEqual(
      refused(
        `x-calico-route install: --to: ${PLUGIN} is not a directory; give the directory where the runtime looks for plugins`,
      ),
    )
  })

  test('removes what killed installs left, once it is 10 minutes old, and nothing else', async () => {
    const { bin } = pluginDirectory()
    const [old, young, other] = ['.x-calico-route.0123456789ab.tmp', '.x-calico-route.ba9876543210.tmp', '.other.tmp']
    for (const name of [old, young, other]) await writeFile(path.join(bin, name), '')
    for (const name of [old, other]) await utimes(path.join(bin, name), 0, Date.now() / 1000 - 601)
    expect((await tool(['install', '--to', bin])).exitCode).toBe(0)
    expect(readdirSync(bin).sort()).toEqual([other, young, ...INSTALLED].sort())
  })

  test.each([
    { words: ['--at-once', '0'], says: /^x-calico-route install: --at-once: "0" is not a number from 1 to 64\n/ },
    { words: ['--at-once', '65'], says: /^x-calico-route install: --at-once: "65" is not a number/ },
    { words: ['--at-once', '1.5'], says: /^x-calico-route install: --at-once: "1.5" is not a number/ },
    {
      words: ['--at-once', '2', '--no-gate'],
      says: /^x-calico-route install: --at-once: has no effect with --no-gate; leave out one of them\n/,
    },
    {
      words: ['--too', 'x'],
      says: /^x-calico-route install: --too: is not an option of this command; did you mean "--to"/,
    },
    { words: ['here'], says: /^x-calico-route install: "here": this command takes options only/ },
  ])('refuses the words $words', async ({ words, says }) => {
    const { bin } = pluginDirectory()
    const answer = await tool(['install', '--to', bin, ...words])
    expect(answer).toEqual({ exitCode: 2, stdout: '', stderr: expect.stringMatching(says) })
    expect(readdirSync(bin)).toEqual([])
  })
})
