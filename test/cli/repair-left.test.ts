import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { changes, configure, dump, removeNamespaces, routes } from '../support/netns.ts'
import { add, check } from '../support/verbs.ts'
import {
  type AddedPod,
  addedPod,
  betweenLooks,
  expectRight,
  nameOf,
  putSign,
  ROUTE4,
  ROUTE6,
  repairInJson,
  SECOND_NIC,
  signsOf,
  spoil,
  TURNS,
} from './repaired-pod.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

describe('what repair leaves alone, and says why:', () => {
  /** Repairs a pod that differs, and another beside it, and expects the first to be as it was. */
  async function isLeft(one: AddedPod, files: Record<string, string>) {
    const other = await addedPod()
    await Promise.all([spoil(one), spoil(other)])
    using cache = scratch({ ...other.files, ...files })
    let told: Awaited<ReturnType<typeof repairInJson>> | undefined
    const { before, after } = await changes(one.pod.netns, async () => {
      told = await repairInJson(cache.directory)
    })
    expect(after).toBe(before)
    await expectRight(other)
    const { exitCode, pods = [], unreadable } = told ?? {}
    const { state, message, differences } = pods.find(
      ({ container }: { container: string }) => container !== other.container,
    )
    return { exitCode, state, message, differences, unreadable, directory: cache.directory }
  }

  test('a pod of which an entry cannot be read, since that may ask for anything', async () => {
    const one = await addedPod('a-b')
    const broken = 'net-work-a-b-net1'
    const { directory, ...told } = await isLeft(one, { ...one.files, [broken]: '' })
    expect(told).toEqual({
      exitCode: 2,
      state: 'error',
      message: expect.stringMatching(
        `^${directory}/${broken}: cannot be read: not JSON: .*; so nobody knows all that the pod asks for$`,
      ),
      unreadable: [{ file: `${directory}/${broken}`, message: expect.stringContaining('not JSON') }],
    })
  })

  test('a pod whose route set is not on the node', async () => {
    const one = await addedPod()
    const entry = { ...OURS, setsDir: '/nowhere', routes: [...OURS.routes, { set: 'underlay' }] }
    const config = Buffer.from(JSON.stringify({ ...LIST, plugins: [{ type: 'calico' }, entry] })).toString('base64')
    const files = { [nameOf(one.container)]: cacheEntry(one.container, one.pod.path, one.result, { config }) }
    expect(await isLeft(one, files)).toMatchObject({
      exitCode: 2,
      state: 'error',
      message: expect.stringContaining('/nowhere/underlay: does not exist yet'),
    })
  })

  test('a pod that has lost a NIC, because it may be on its way out', async () => {
    const one = await addedPod()
    const files = {
      ...one.files,
      [nameOf(one.container, 'net7')]: cacheEntry(one.container, one.pod.path, one.result, { ifName: 'net7' }),
    }
    expect(await isLeft(one, files)).toMatchObject({
      exitCode: 1,
      state: 'differs',
      differences: [expect.stringContaining('the pod has no interface net7')],
    })
  })

  test('pods on which a call works, or another repair', async () => {
    const pods = [await addedPod(), await addedPod()] as const
    await Promise.all(pods.map(spoil))
    using cache = scratch({ ...pods[0].files, ...pods[1].files })
    // Other tests have uninstall remove the directory of all.
    using own = scratch()
    putSign('call', pods[0].container, own.file('turns'))
    putSign('repair', pods[1].container, own.file('turns'))
    const shell = `mkdir -p ${path.dirname(TURNS)}; mount --bind ${own.directory} ${path.dirname(TURNS)}; exec "$@"`
    const before = await Promise.all(pods.map(({ pod }) => dump(pod.netns)))
    const { stdout, exitCode } = await tool(['repair', '-o', 'json', '--cache', cache.directory], { shell })
    const busy = { state: 'busy', message: 'a call of the runtime or another repair works on the pod' }
    expect({ exitCode, pods: JSON.parse(stdout).pods }).toMatchObject({ exitCode: 1, pods: [busy, busy] })
    expect(await Promise.all(pods.map(({ pod }) => dump(pod.netns)))).toEqual(before)
    expect(readdirSync(own.file('turns'))).toHaveLength(2)
  })

  test('a pod whose container ID is too long for a sign', async () => {
    const container = 'c'.repeat(201)
    const one = await addedPod(container)
    expect(await isLeft(one, { one: cacheEntry(container, one.pod.path, one.result) })).toMatchObject({
      exitCode: 2,
      state: 'error',
      message: 'the container ID is longer than 200 characters, so no call can be told of the repair',
    })
  })
})

describe('a pod that changes between the two looks of repair', () => {
  async function meanwhile(one: AddedPod, act: (file: string) => unknown) {
    await configure(one.pod.netns, 'route del 10.50.0.0/16')
    return betweenLooks(one.files, (cache) => act(cache.file(nameOf(one.container))))
  }

  test('is looked at anew, and then repaired', async () => {
    const one = await addedPod()
    const { exitCode, pods } = await meanwhile(one, () => configure(one.pod.netns, 'route del fd00:10:50::/64'))
    expect(exitCode).toBe(0)
    expect(pods).toMatchObject([
      { state: 'repaired', changes: [`+ ${ROUTE4}  # eth0: routes[0]`, `+ ${ROUTE6}  # eth0: routes[1]`] },
    ])
    await check(one.pod, { ...OURS, prevResult: one.result })
  })

  test('by an ADD of the runtime: the outcome is that of the new configuration', async () => {
    const one = await addedPod()
    const routes = [{ dst: '10.51.0.0/16' }]
    const config = Buffer.from(JSON.stringify({ ...LIST, plugins: [{ ...OURS, routes }] })).toString('base64')
    const { exitCode, pods } = await meanwhile(one, async (file) => {
      writeFileSync(file, cacheEntry(one.container, one.pod.path, one.result, { config }))
    })
    expect({ exitCode, pods }).toMatchObject({ exitCode: 0, pods: [{ state: 'repaired' }] })
    await check(one.pod, { ...OURS, routes, prevResult: one.result })
  })

  test('by a DEL of the runtime: nothing is done', async () => {
    const one = await addedPod()
    const { exitCode, pods } = await meanwhile(one, (file) => rmSync(file))
    expect({ exitCode, pods }).toMatchObject({ exitCode: 0, pods: [{ state: 'gone' }] })
    expect((await routes(one.pod.netns)).join()).not.toContain('10.50.0.0/16')
  })

  test('by a second attachment: it counts as well', async () => {
    const one = await addedPod()
    const entry = { type: 'x-calico-route', routes: [{ dst: '10.52.0.0/16', scope: 'link' }] }
    const config = Buffer.from(JSON.stringify({ ...LIST, name: 'more', plugins: [entry] })).toString('base64')
    const { exitCode, pods } = await meanwhile(one, async (file) => {
      await configure(one.pod.netns, SECOND_NIC)
      const prevResult = { interfaces: [{ name: 'net1' }], ips: [{ address: '10.9.0.1/24' }] }
      const result = await add({ ...one.pod, ifname: 'net1' }, { ...entry, prevResult })
      const text = cacheEntry(one.container, one.pod.path, result, { config, ifName: 'net1' })
      writeFileSync(path.join(path.dirname(file), `more-${one.container}-net1`), text)
    })
    expect({ exitCode, pods }).toMatchObject({
      exitCode: 0,
      pods: [{ state: 'repaired', attachments: [{ ifname: 'eth0' }, { ifname: 'net1' }] }],
    })
    const there = (await routes(one.pod.netns)).join('\n')
    for (const text of [/^10\.50\.0\.0\/16 /m, /^10\.52\.0\.0\/16 dev net1 /m]) expect(there).toMatch(text)
  })
})

describe('x-calico-route repair that is stopped', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s between its looks: it changes nothing, and leaves no sign',
    async (signal) => {
      const one = await addedPod()
      await spoil(one)
      const { before, after } = await changes(one.pod.netns, async () => {
        const told = await betweenLooks(one.files, (_, child) => child.kill(signal))
        expect(told).toMatchObject({ exitCode: 2, pods: [{ state: 'differs' }] })
      })
      expect(after).toBe(before)
      expect(signsOf(one)).toEqual([])
    },
  )
})
