import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { appendFile, copyFile, mkdir, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { agent, severalLooks } from './agent.ts'
import {
  DIGEST,
  EXECUTABLE,
  executableName,
  gateIn,
  INSTALLED,
  installedDigest,
  NAME,
  otherBuild,
  pluginDirectory,
  sha256,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { tool } from './tool.ts'

const done = (line: string, stderr = '') => ({ exitCode: 0, stdout: `${line}\n`, stderr })
const WITHOUT_SHELL = `mount --bind /dev/null "$(realpath /bin/sh)"; exec "$@"`
const NO_SHELL = '/bin/sh: missing, and a gate needs it; installing without a gate, as with --no-gate\n'
const longAgo = (file: string) => utimes(file, 0, Date.now() / 1000 - 601)

describe('the gate', () => {
  test('lets two calls through at once, or as many as it is told, and keeps that number', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    expect(await gateIn(bin)).toMatchObject({ digest: DIGEST, atOnce: 2 })
    const installed = done(`${file}: ${VERSION} installed, replaces ${VERSION}`)
    expect(await tool(['install', '--to', bin, '--at-once', '5'])).toEqual(installed)
    expect(await gateIn(bin)).toMatchObject({ atOnce: 5 })
    expect(await tool(['install', '--to', bin])).toEqual(done(`${file}: ${VERSION} is already installed`))
    const other = await otherBuild(temporaryDirectory())
    expect(await tool(['install', '--to', bin], { executable: other })).toEqual(installed)
    expect(await gateIn(bin)).toMatchObject({ digest: await sha256(other), atOnce: 5 })
  })

  test('is left out where it is not wanted, and comes back', async () => {
    const { bin, file } = pluginDirectory()
    expect(await tool(['install', '--to', bin, '--no-gate'])).toEqual(done(`${file}: ${VERSION} installed`))
    expect(await sha256(file)).toBe(DIGEST)
    expect(readdirSync(bin)).toEqual([NAME])
    expect(await tool(['install', '--to', bin, '--no-gate'])).toEqual(done(`${file}: ${VERSION} is already installed`))
    await tool(['install', '--to', bin])
    expect((await gateIn(bin)).digest).toBe(DIGEST)
    // A shell that has begun to read it must not find an executable there: it is open.
    const opened = await tool(['install', '--to', bin, '--no-gate'])
    expect(opened).toEqual(done(`${file}: ${VERSION} installed, replaces ${VERSION}`))
    expect(await gateIn(bin)).toMatchObject({ digest: DIGEST, atOnce: 0 })
    expect(await tool(['install', '--to', bin, '--no-gate'])).toEqual(done(`${file}: ${VERSION} is already installed`))
    await tool(['install', '--to', bin])
    expect(await gateIn(bin)).toMatchObject({ digest: DIGEST, atOnce: 2 })
    await tool(['uninstall', '--from', bin])
    expect(readdirSync(bin)).toEqual([])
  })

  test('is no reason to take away what a script of somebody else’s leads to', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    await rename(file, `${file}.real`)
    await writeFile(file, `#!/bin/sh\nexec ${file}.real "$@"\n`, { mode: 0o755 })
    for (const name of readdirSync(bin)) await longAgo(path.join(bin, name))
    await tool(['install', '--to', bin, '--no-status'])
    await tool(['uninstall', '--from', bin])
    expect(await tool(['--version'], { executable: `${file}.real` })).toEqual(done(VERSION))
  })

  test('is asked for its version as the executable is, by a link to it as well', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    expect(await tool(['--version'], { executable: file })).toEqual(done(VERSION))
    const link = path.join(temporaryDirectory(), 'link')
    const shell = `ln -s ${file} ${link}; exec ${link} --version`
    expect(await tool([], { shell })).toEqual(done(VERSION))
    // What is installed by it is the executable, not the gate.
    const { bin: second } = pluginDirectory()
    expect((await tool(['install', '--to', second], { executable: file })).exitCode).toBe(0)
    expect((await gateIn(second)).digest).toBe(DIGEST)
  })

  test.each([
    {
      what: 'its executable is gone',
      spoil: (bin: string) => rm(path.join(bin, EXECUTABLE)),
      says: `its gate leads to ${EXECUTABLE}, which is missing`,
    },
    {
      what: 'its executable is cut off',
      spoil: (bin: string) => truncate(path.join(bin, EXECUTABLE), 4096),
      says: 'it is not a program for this machine, or only part of one',
    },
    {
      what: 'somebody wrote to it',
      spoil: (bin: string) => appendFile(path.join(bin, NAME), 'exec true\n'),
      says: 'its gate has been changed',
    },
    {
      what: 'it is cut off',
      spoil: (bin: string) => truncate(path.join(bin, NAME), 1000),
      says: 'its gate has been changed',
    },
  ])('is made whole again where $what', async ({ spoil, says }) => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    await spoil(bin)
    expect(await tool(['install', '--to', bin])).toEqual(
      done(`${file}: ${VERSION} installed, replaces a file that does not start: ${says}`),
    )
    expect((await gateIn(bin)).digest).toBe(DIGEST)
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('of another version stays, with its executable, where the new one could not do its work', async () => {
    const { bin } = pluginDirectory()
    await tool(['install', '--to', bin], { executable: await otherBuild(temporaryDirectory()) })
    const before = { ...(await gateIn(bin)), files: readdirSync(bin) }
    // Neither is nsenter found there, so STATUS fails.
    const shell = 'mount --bind /dev/null "$(realpath /usr/bin/nsenter)"; exec "$@"'
    expect((await tool(['install', '--to', bin], { shell })).stderr).toMatch(
      /: STATUS: ADD could not work on this node/,
    )
    expect({ ...(await gateIn(bin)), files: readdirSync(bin) }).toEqual(before)
  })

  test('is not put where no shell can run it', async () => {
    const { bin, file } = pluginDirectory()
    const installed = done(`${file}: ${VERSION} installed`, NO_SHELL)
    expect(await tool(['install', '--to', bin], { shell: WITHOUT_SHELL })).toEqual(installed)
    expect(await sha256(file)).toBe(DIGEST)
    expect(readdirSync(bin)).toEqual([NAME])
  })
})

describe('the executable of the version before', () => {
  /** A directory with an old gated version and, over it, the one that is tested. */
  async function upgraded() {
    const { bin, file } = pluginDirectory()
    const other = await otherBuild(temporaryDirectory())
    await tool(['install', '--to', bin], { executable: other })
    await tool(['install', '--to', bin])
    return { bin, file, superseded: path.join(bin, executableName(await sha256(other))) }
  }

  test('stays for the calls that wait at its gate, and goes at an install 10 minutes later', async () => {
    const { bin, file, superseded } = await upgraded()
    await longAgo(superseded)
    await tool(['install', '--to', bin])
    expect(existsSync(superseded)).toBe(true)
    await longAgo(file)
    await longAgo(path.join(bin, EXECUTABLE))
    await tool(['install', '--to', bin])
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('is put to use again by going back, and is then as young as a new one', async () => {
    const { bin, superseded } = await upgraded()
    await longAgo(superseded)
    const { ino } = statSync(superseded)
    await tool(['install', '--to', bin], { executable: await otherBuild(temporaryDirectory()) })
    expect((await gateIn(bin)).digest).toBe(await sha256(superseded))
    expect(statSync(superseded).ino).toBe(ino)
    expect(Date.now() - statSync(superseded).mtimeMs).toBeLessThan(300_000)
  })

  test('is all that is removed: nobody else’s files are taken for it', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    const others = ['.x-calico-route-mine', `${EXECUTABLE}.bak`, 'calico', '.x-calico-route-0123456789abcdeg']
    for (const name of others) await writeFile(path.join(bin, name), '')
    await mkdir(path.join(bin, '.x-calico-route-0123456789abcdef'))
    for (const name of readdirSync(bin)) await longAgo(path.join(bin, name))
    await tool(['install', '--to', bin])
    expect(readdirSync(bin).sort()).toEqual([...others, '.x-calico-route-0123456789abcdef', ...INSTALLED].sort())
    expect(readFileSync(file, 'utf8')).toContain(EXECUTABLE)
  })

  test('goes with uninstall', async () => {
    const { bin, file } = await upgraded()
    expect(await tool(['uninstall', '--from', bin])).toEqual(done(`${file}: ${VERSION} removed`))
    expect(readdirSync(bin)).toEqual([])
  })
})

describe('uninstall', () => {
  test('removes a gate without executable, and refuses one that somebody wrote to', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    await rm(path.join(bin, EXECUTABLE))
    expect(await tool(['uninstall', '--from', bin])).toEqual(done(`${file}: ${NAME} of unknown version removed`))
    await tool(['install', '--to', bin])
    await appendFile(file, '# mine\n')
    expect(await tool(['uninstall', '--from', bin])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('its gate has been changed'),
    })
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('removes what an uninstall left that was killed, once it is old', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin])
    await rm(file)
    await longAgo(path.join(bin, EXECUTABLE))
    expect(await tool(['uninstall', '--from', bin])).toEqual(done(`${file}: is not installed`))
    expect(readdirSync(bin)).toEqual([])
  })
})

describe('the agent', () => {
  const agentIn = (bin: string, shell = 'exec "$@"') =>
    agent(['--to', bin, '--interval', '0.3', '--cache', temporaryDirectory()], { shell })

  test('puts gate or executable back, whichever is missing or broken', async () => {
    const { bin, file } = pluginDirectory()
    const { until, since } = agentIn(bin)
    await until(`${file}: ${VERSION} installed`)
    const { text } = await gateIn(bin)
    const whole = async () => {
      expect(await gateIn(bin)).toMatchObject({ digest: DIGEST, text })
      expect(readdirSync(bin)).toEqual(INSTALLED)
    }
    await rm(file)
    await until(`${file}: ${VERSION} installed`)
    await whole()
    await rm(path.join(bin, EXECUTABLE))
    await until('which is missing')
    await whole()
    await writeFile(path.join(bin, 'half'), text.slice(0, 900), { mode: 0o755 })
    await rename(path.join(bin, 'half'), file)
    await until('its gate has been changed')
    await whole()
    await copyFile(PLUGIN, path.join(bin, 'half'))
    await truncate(path.join(bin, 'half'), 1_000_000)
    await rename(path.join(bin, 'half'), path.join(bin, EXECUTABLE))
    await until('or only part of one')
    await whole()
    await severalLooks()
    // On a busy machine it says only now that the node is ready again.
    expect(since().filter(({ msg }) => msg !== 'ready')).toEqual([])
  })

  test('puts back what is gone before it has looked at what it installed', async () => {
    const { bin, file } = pluginDirectory()
    // Between the two it has the disk confirm what it wrote, which takes half a second here.
    const slowly = '-D -f -qq -o /dev/null -e trace=fsync -e inject=fsync:delay_exit=500000'
    const { until } = agentIn(bin, `exec strace ${slowly} "$@"`)
    await expect.poll(() => existsSync(file), { timeout: 20_000, interval: 10 }).toBe(true)
    await rm(path.join(bin, EXECUTABLE))
    await until('which is missing')
    await until('ready')
    expect(await gateIn(bin)).toMatchObject({ digest: DIGEST })
  })

  test('puts the gate back that it found, in a container that has no shell to try it with', async () => {
    const { bin, file } = pluginDirectory()
    await tool(['install', '--to', bin, '--at-once', '3'])
    const { until, all } = agentIn(bin, WITHOUT_SHELL)
    await until(`${file}: ${VERSION} is already installed`)
    await rm(file)
    await until(`${file}: ${VERSION} installed`)
    expect(all().map(({ msg }) => msg)).not.toContain(NO_SHELL.trim())
    expect(await gateIn(bin)).toMatchObject({ digest: DIGEST, atOnce: 3 })
    for (const name of readdirSync(bin)) await rm(path.join(bin, name))
    await until('installed')
    await expect.poll(() => installedDigest(bin).catch(() => ''), { timeout: 20_000 }).toBe(DIGEST)
    expect(await gateIn(bin)).toMatchObject({ digest: DIGEST, atOnce: 3 })
  })

  test('removes the executable of the version before, when no call can wait for it any more', async () => {
    const { bin, file } = pluginDirectory()
    const other = await otherBuild(temporaryDirectory())
    await tool(['install', '--to', bin], { executable: other })
    const superseded = path.join(bin, executableName(await sha256(other)))
    const { until } = agentIn(bin)
    await until('installed')
    await longAgo(superseded)
    await sleep(500)
    expect(existsSync(superseded)).toBe(true)
    await longAgo(file)
    await expect.poll(() => readdirSync(bin), { timeout: 20_000 }).toEqual(INSTALLED)
  })
})
