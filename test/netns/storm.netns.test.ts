/**
 * A node starts: many pods at once, all of whose plugins run in one control group, where the daemon of thick Multus has its 42
 * MiB already. Needs root, a disk below the temporary directory, and control groups of either version that can be made.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createCgroup, type Limits } from '../../scripts/bench/cgroup.ts'
import { PRODUCT } from '../../scripts/bench/contenders.ts'
import { forget } from '../../scripts/bench/page-cache.ts'
import { createPods, type Pods } from '../../scripts/bench/pods.ts'
import { configuration, destinations, ONE } from '../../scripts/bench/scenarios.ts'
import { type Storm, weather } from '../../scripts/bench/storm.ts'
import { removeNamespaces } from '../support/netns.ts'
import { PLUGIN } from '../support/runtime.ts'

const CALLS = 12
const SMALL: Limits = { milliCpu: 500, memoryMiB: 128 }
/** A quiet machine takes a second and a half. Without the gate not one call came to its end in 45. */
const PATIENCE_S = 60

const why = hindrance()
if (why !== undefined) console.warn(`Storms are left out, since no control group can be made here: ${why}`)

function hindrance(): string | undefined {
  try {
    createCgroup(SMALL).remove()
    return undefined
  } catch (error) {
    return String(error)
  }
}

const scratch = mkdtempSync(path.join(tmpdir(), 'xcr-storm-'))
const bin = path.join(scratch, 'bin')
let pods: Pods
let storm: Storm
beforeAll(async () => {
  await execa('mkdir', [bin])
  await execa(PLUGIN, ['install', '--to', bin])
  const { stdout } = await execa('find', [bin, '-size', '+1M'])
  const input = path.join(scratch, 'input.json')
  writeFileSync(input, configuration(ONE, { dialect: PRODUCT }))
  pods = await createPods(CALLS)
  storm = {
    command: [path.join(bin, 'x-calico-route')],
    input,
    verb: 'ADD',
    calls: CALLS,
    limits: SMALL,
    takenMiB: 42,
    executables: stdout.split('\n'),
    pages: 'cold',
    patienceS: PATIENCE_S,
  }
})
afterAll(() => {
  removeNamespaces()
  rmSync(scratch, { recursive: true, force: true })
})

const SUCCESS = { succeeded: CALLS, kills: 0, late: false }
const timeout = 4 * PATIENCE_S * 1000

test.skipIf(why)(
  `${CALLS} ADDs at once in 128 MiB, page cache cold, then as many DELs: all succeed, and nobody is killed`,
  { timeout },
  async () => {
    await pods.reset(CALLS, 'fresh', destinations(2))
    expect(await weather(storm, pods)).toMatchObject(SUCCESS)
    expect(await pods.isDone(destinations(2))).toBe(true)
    expect(await weather({ ...storm, verb: 'DEL' }, pods)).toMatchObject(SUCCESS)
  },
)

test.skipIf(why)(
  'the executables that the agent has read, ours and others, are not charged to the group of the calls',
  { timeout },
  async () => {
    const limits = { ...SMALL, memoryMiB: 256 }
    const peakOf = async (pages: Storm['pages']) => {
      await pods.reset(CALLS, 'fresh', destinations(2))
      const { peakMiB = 0, ...outcome } = await weather({ ...storm, limits, pages }, pods)
      expect(outcome).toMatchObject(SUCCESS)
      return peakMiB
    }
    const alone = await peakOf('cold')
    const neighbour = path.join(bin, 'neighbour')
    writeFileSync(neighbour, randomBytes(20_000_000), { mode: 0o755 })
    const files = [...storm.executables, neighbour]
    await forget(files)
    expect(await missing(neighbour)).toBeGreaterThan(0)
    const cache = mkdtempSync('/run/xcr-cache-')
    onTestFinished(() => rmSync(cache, { recursive: true }))
    const agent = execa(PLUGIN, ['agent', '--to', bin, '--no-status', '--cache', cache], {
      reject: false,
    })
    onTestFinished(() => void agent.kill('SIGKILL'))
    for (const file of files) await expect.poll(() => missing(file), { timeout }).toBe(0)
    const kept = await peakOf('as they are')
    // Some 90 MB of the executable are read by a cold call.
    expect(alone - kept).toBeGreaterThan(50)
  },
)

/** Bytes of the file that the page cache does not hold. @see fincore(1) */
async function missing(file: string): Promise<number> {
  const { stdout } = await execa('fincore', ['--bytes', '--noheadings', '--output', 'RES,SIZE', file])
  const [resident = 0, size = 0] = stdout.trim().split(/\s+/).map(Number)
  // The last page is counted as a whole.
  return Math.max(0, size - resident)
}
