/** A call shows that it works on a pod, and waits while a repair does: see src/kernel/turns.ts. */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clock } from '../../src/kernel/clock.ts'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { removeNamespace, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, PLUGIN, run, type Verb } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { add } from '../support/verbs.ts'

const TURNS = '/run/x-calico-route/turns'
const ROUTES = [{ dst: '10.50.0.0/16' }]

afterEach(removeNamespaces)
// Other test files may run at the same time, and their calls use the directory as well: it stays.
beforeEach(() => void mkdirSync(TURNS, { recursive: true }))

let number = 0
const containerId = () => `turns-${process.pid}-${++number}`
const signsOf = (container: string) => readdirSync(TURNS).filter((name) => name.includes(container))

const env = (verb: Verb, pod: CalicoPod, container: string) => ({
  ...environment(verb, pod),
  CNI_CONTAINERID: container,
})

/** The directory as ip(8) finds it when a call starts it; undefined if the call does not. */
async function signsDuring(verb: Verb, keys: object): Promise<string[] | undefined> {
  const pod = await calicoPod({ families: [4] })
  const prevResult =
    verb === 'ADD' ? calicoResult(pod) : await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
  const container = containerId()
  using host = hostWhereIpIs(`ls ${TURNS} >$DIRECTORY/signs; exec $REAL_IP "$@"`)
  const { exitCode } = await run(env(verb, pod, container), { routes: ROUTES, prevResult, ...keys }, host.via)
  expect(exitCode).toBe(0)
  expect(signsOf(container)).toEqual([])
  const signs = readFileSync(`${host.directory}/signs`, 'utf8').split('\n')
  return signs.filter((name) => name.includes(container)).map((name) => name.replace(container, 'ID'))
}

describe('a sign is up while', () => {
  test.each(['ADD', 'DEL'] as const)('%s works, and is taken down', async (verb) => {
    expect(await signsDuring(verb, {})).toEqual([expect.stringMatching(/^call\.ID\.\d+\.\d+$/)])
  })
})

describe('no sign is up for', () => {
  test.each<[Verb, object]>([
    ['CHECK', {}],
    ['ADD', { dryRun: true }],
  ])('%s with %j, which changes nothing', async (verb, keys) => {
    expect(await signsDuring(verb, keys)).toEqual([])
  })

  test('a pod that is gone, once DEL has ended', async () => {
    const pod = await calicoPod({ families: [4] })
    removeNamespace(pod.netns)
    const container = containerId()
    const answer = await run(env('DEL', pod, container), { routes: ROUTES })
    expect(answer).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(signsOf(container)).toEqual([])
  })
})

describe('while a repair works on the pod', () => {
  const lockOf = (container: string) => `${TURNS}/repair.${container}`

  test.each(['ADD', 'DEL'] as const)('%s waits, and then does its work', async (verb) => {
    const pod = await calicoPod({ families: [4] })
    const prevResult =
      verb === 'ADD' ? calicoResult(pod) : await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
    const container = containerId()
    symlinkSync(`f00.${Math.floor(clock())}`, lockOf(container))
    let isOver = false
    const call = run(env(verb, pod, container), { routes: ROUTES, prevResult }).finally(() => (isOver = true))
    await expect.poll(() => signsOf(container), { timeout: 5000 }).toHaveLength(2)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(isOver).toBe(false)
    rmSync(lockOf(container))
    expect(await call).toMatchObject({ exitCode: 0, stderr: '' })
    const { stdout } = await execa('ip', ['-n', pod.netns, 'route', 'show', 'proto', '142'])
    expect(stdout.includes('10.50.0.0/16')).toBe(verb === 'ADD')
    expect(signsOf(container)).toEqual([])
  })

  test('that was killed, a call does not wait', async () => {
    const pod = await calicoPod({ families: [4] })
    const container = containerId()
    symlinkSync(`f00.${Math.floor(clock()) - 20_000}`, lockOf(container))
    const started = performance.now()
    const { exitCode } = await run(env('ADD', pod, container), { routes: ROUTES, prevResult: calicoResult(pod) })
    expect({ exitCode, isLate: performance.now() - started > 5000 }).toEqual({ exitCode: 0, isLate: false })
    rmSync(lockOf(container))
  })
})

test('a call that is killed leaves its sign', async () => {
  const pod = await calicoPod({ families: [4] })
  const container = containerId()
  using host = hostWhereIpIs('sleep 30')
  const [command = PLUGIN, ...args] = [...host.via, PLUGIN]
  const input = JSON.stringify({ cniVersion: '1.0.0', name: 'n', routes: ROUTES, prevResult: calicoResult(pod) })
  const child = execa(command, args, { env: env('ADD', pod, container), extendEnv: false, input, reject: false })
  await expect.poll(() => signsOf(container), { timeout: 5000 }).toHaveLength(1)
  const [, pid] = /^call\..*\.(\d+)\.\d+$/.exec(signsOf(container)[0] ?? '') ?? []
  process.kill(Number(pid), 'SIGKILL')
  await child
  expect(signsOf(container)).toHaveLength(1)
  for (const name of signsOf(container)) rmSync(`${TURNS}/${name}`)
})

test.each([
  ['does not exist', ''],
  ['is read-only', 'mkdir turns; mount -o remount,ro .;'],
  ['is a file', 'echo >turns;'],
])('a call makes do where the directory %s', async (_, make) => {
  const pod = await calicoPod({ families: [4] })
  const shell = `cd /run/x-calico-route; mount -t tmpfs none .; cd .; ${make} before=$(ls -l); "$@"; test "$before" = "$(ls -l)"`
  const via = ['unshare', '--mount', 'sh', '-ec', shell, 'sh']
  const config = { routes: ROUTES, prevResult: calicoResult(pod) }
  expect(await run(environment('ADD', pod), config, via)).toMatchObject({ exitCode: 0, stderr: '' })
})
