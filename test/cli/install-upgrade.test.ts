import { mkdtempSync, readdirSync, statSync } from 'node:fs'
import { rm, utimes } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, PLUGIN } from '../support/runtime.ts'
import {
  executableName,
  installedDigest,
  NAME,
  otherBuild,
  pluginDirectory,
  sha256,
  temporaries,
} from './plugin-directory.ts'
import { starting, tool } from './tool.ts'

const UPGRADES = Number(process.env.XCR_UPGRADES ?? 20)
const KILLS = 50
/** Each install writes and reads 110 MB three times, and the machine may be busy with other tests. */
const INSTALL_LIMIT_MS = 12_000

interface Build {
  readonly executable: string
  readonly digest: string
}

/** Two builds of the plugin, in turns the newer one. */
const directory = mkdtempSync('/run/xcr-builds-')
const builds: Build[] = []
beforeAll(async () => {
  for (const executable of [PLUGIN, await otherBuild(directory)]) {
    builds.push({ executable, digest: await sha256(executable) })
  }
})
afterAll(async () => {
  await rm(directory, { recursive: true })
  await removeNamespaces()
})

const build = (turn: number) => builds[turn % 2] as Build
/** From gate to gate, from gate to executable, and so on: every change of layout there is. */
const layout = (turn: number) => (turn % 4 < 2 ? [] : ['--no-gate'])

/** Differs if the file is another one, or if anything was written to it. */
function identity(file: string): string {
  const { ino, size, mode, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
  return [ino, size, mode, mtimeNs, ctimeNs].join(' ')
}

describe('an upgrade', () => {
  test(
    `can be killed at any of ${KILLS} instants: the plugin is the old or the new one, and the next install works`,
    async () => {
      const { bin, file } = pluginDirectory()
      const words = (turn: number) => ['install', '--to', bin, ...layout(turn)]
      const install = async (turn: number) => {
        const started = performance.now()
        expect(await tool(words(turn), build(turn))).toMatchObject({ exitCode: 0, stderr: '' })
        return performance.now() - started
      }
      await install(0)
      let duration = await install(1)
      const seen = { old: 0, new: 0, leftOver: 0 }
      let installed = 1
      for (let instant = 0; instant < KILLS; instant++) {
        const before = identity(file)
        // So that there is something to copy.
        for (const name of readdirSync(bin)) {
          if (![NAME, executableName(build(installed).digest)].includes(name)) await rm(path.join(bin, name))
        }
        const child = starting(words(installed + 1), build(installed + 1))
        await sleep((instant / KILLS) * 1.5 * duration)
        child.kill('SIGKILL')
        await child
        if (identity(file) === before) seen.old++
        else {
          seen.new++
          installed++
          expect(await installedDigest(bin)).toBe(build(installed).digest)
        }
        expect((await execa(file, { env: { CNI_COMMAND: 'VERSION' }, extendEnv: false })).exitCode).toBe(0)
        // So that the next one takes them for what they are.
        const left = temporaries(bin)
        seen.leftOver += left.length
        for (const temporary of left) await utimes(temporary, 0, 0)
        if (instant % 10 === 9) {
          // On a machine with other work, the next ones take longer.
          duration = Math.max(duration, await install(installed + 1))
          installed++
          expect(await installedDigest(bin)).toBe(build(installed).digest)
          expect(temporaries(bin)).toEqual([])
        }
      }
      // It was killed before, in and after what matters.
      expect(seen.old).toBeGreaterThan(0)
      expect(seen.new).toBeGreaterThan(0)
      expect(seen.leftOver).toBeGreaterThan(0)
    },
    KILLS * INSTALL_LIMIT_MS,
  )

  test(
    `is nothing to the calls of a runtime: ${UPGRADES} of them, and no call fails`,
    async () => {
      const { bin, file } = pluginDirectory()
      await tool(['install', '--to', bin], build(0))
      const pod = await calicoPod()
      const config = {
        cniVersion: '1.0.0',
        name: 'k8s-pod-network',
        type: 'x-calico-route',
        prevResult: calicoResult(pod),
      }
      const input = JSON.stringify({ ...config, routes: [{ dst: '10.50.0.0/16', gw: '169.254.1.1' }] })
      const failures: unknown[] = []
      const calls = { ADD: 0, VERSION: 0 }
      let upgrading = true
      const call = async (verb: 'ADD' | 'VERSION') => {
        while (upgrading) {
          const env = environment(verb, pod)
          const { exitCode, shortMessage, stdout } = await execa(file, { env, extendEnv: false, input, reject: false })
          if (exitCode !== 0) failures.push(shortMessage, stdout)
          calls[verb]++
          await sleep(20)
        }
      }
      const callers = [call('ADD'), call('VERSION')]
      try {
        for (let turn = 1; turn <= UPGRADES; turn++) {
          expect(await tool(['install', '--to', bin, ...layout(turn)], build(turn))).toMatchObject({
            exitCode: 0,
            stderr: '',
          })
        }
      } finally {
        upgrading = false
        await Promise.all(callers)
      }
      expect(failures).toEqual([])
      expect(Math.min(calls.ADD, calls.VERSION)).toBeGreaterThan(UPGRADES)
    },
    UPGRADES * INSTALL_LIMIT_MS,
  )
})
