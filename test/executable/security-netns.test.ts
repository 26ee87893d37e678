import { existsSync, readlinkSync, renameSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, dump, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { failure } from '../support/verbs.ts'
import { temporaryDirectory } from './product.ts'

afterEach(removeNamespaces)

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const ours = async (netns: string) => (await routes(netns)).filter((route) => route.includes('proto 142'))
const defaults = async (netns: string) => (await routes(netns)).filter((route) => route.startsWith('default'))

describe('a path to a namespace that changes its meaning during the call', () => {
  test('has no effect: what was opened once is read, changed and rolled back', async () => {
    const [pod, other] = [await calicoPod(), await calicoPod()]
    const directory = temporaryDirectory()
    const moving = path.join(directory, 'netns')
    symlinkSync(pod.path, moving)
    // ip runs again to undo the second route; the path leads elsewhere from its first run on.
    using host = hostWhereIpIs(`ln -sfn ${other.path} ${moving}; echo run >> $DIRECTORY/runs; exec $REAL_IP "$@"`)
    const bad = { dst: '10.99.0.0/16', gw: '192.0.2.1' }
    const call = (list: object[]) =>
      run(environment('ADD', { ...pod, path: moving }), { routes: list, prevResult: calicoResult(pod) }, host.via)

    const { before, after } = await changes(other.netns, async () => {
      const untouched = await dump(pod.netns)
      expect(failure(await call([...ROUTES, bad])).code).toBe(100)
      expect(await dump(pod.netns)).toBe(untouched)
      expect(readlinkSync(moving)).toBe(other.path)

      const next = path.join(directory, 'next')
      symlinkSync(pod.path, next)
      renameSync(next, moving)
      expect((await call(ROUTES)).exitCode).toBe(0)
    })
    expect(after).toBe(before)
    expect(await ours(pod.netns)).toHaveLength(2)
    expect(await defaults(pod.netns)).toEqual([])
  })
})

describe('a process that is not the pod’s any more', () => {
  const PID = 4194304 // one more than the kernel ever gives

  test('is no namespace: ADD is refused with code 4, DEL has nothing to do', async () => {
    expect(existsSync(`/proc/${PID}`)).toBe(false)
    const gone = { ...(await calicoPod()), path: `/proc/${PID}/ns/net` }
    const config = { routes: ROUTES, prevResult: calicoResult(await calicoPod()) }
    expect(failure(await run(environment('ADD', gone), config)).code).toBe(4)
    expect(await run(environment('DEL', gone), config)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })

  test('whose number the node’s init has: code 8, and the node’s routes are untouched', async () => {
    const node = await calicoPod()
    // A process number 1 in a namespace of its own, as systemd has it on a node.
    const via = [
      'nsenter',
      `--net=${node.path}`,
      'unshare',
      '--pid',
      '--fork',
      '--mount-proc',
      'sh',
      '-c',
      '"$@"; exit $?',
      'sh',
    ]
    const { before, after } = await changes(node.netns, async () => {
      for (const verb of ['ADD', 'DEL'] as const) {
        const config = { routes: ROUTES, prevResult: calicoResult(node) }
        const answer = await run(environment(verb, { ...node, path: '/proc/1/ns/net' }), config, via)
        expect(failure(answer)).toMatchObject({ code: 8, msg: expect.stringContaining('/proc/1/ns/net') })
      }
    })
    expect(after).toBe(before)
  })
})
