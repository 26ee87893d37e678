/**
 * What `repair` of a node finds was made by tenants, or has been exchanged since. Whatever it is, no routes but those of that
 * pod are touched, and whatever becomes of the process at work, nobody waits for it afterwards.
 */
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { PLUGIN } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { type AddedPod, addedPod, betweenLooks, nameOf, ROUTE4, repairInJson, signsOf, TURNS } from './repaired-pod.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const spoiled = async () => {
  const one = await addedPod()
  await configure(one.pod.netns, 'route del 10.50.0.0/16')
  return one
}

const messagesOf = (pods: Record<string, string>[]) =>
  Object.fromEntries(pods.map(({ container, state, message }) => [container, message ?? state]))

const isRepaired = async ({ pod }: AddedPod) => (await routes(pod.netns)).join('\n').includes('10.50.0.0/16')

describe('repair of a node never enters', () => {
  test('a namespace that is not in /run/netns', async () => {
    const [one, other] = [await spoiled(), await spoiled()]
    using files = scratch()
    symlinkSync(other.pod.path, files.file('elsewhere'))
    const paths = {
      process: `/proc/${process.pid}/ns/net`,
      elsewhere: files.file('elsewhere'),
      up: `/run/netns/../netns/${other.pod.netns}`,
      dots: '/run/netns/..',
      dot: '/var/run/netns/.',
      deep: `/run/netns/x/../${other.pod.netns}`,
      relative: `run/netns/${other.pod.netns}`,
      none: '/run/netns/',
    }
    const entries = Object.entries(paths).map(([name, netns]) => [nameOf(name), cacheEntry(name, netns, other.result)])
    using cache = scratch({ ...one.files, ...Object.fromEntries(entries) })
    const { before, after } = await changes(other.pod.netns, async () => {
      const { exitCode, pods } = await repairInJson(cache.directory)
      const outside = (netns: string) =>
        `netns: ${netns} is not in /run/netns, the only directory whose namespaces are repaired`
      expect({ exitCode, of: messagesOf(pods) }).toEqual({
        exitCode: 2,
        of: {
          [one.container]: 'repaired',
          ...Object.fromEntries(Object.entries(paths).map(([name, netns]) => [name, outside(netns)])),
        },
      })
    })
    expect(after).toBe(before)
  })

  test('the namespace of its own process or of the first one, not even by a link in /run/netns', async () => {
    const [one, first, own] = [await spoiled(), await spoiled(), await spoiled()]
    const link = `/run/netns/link-${process.pid}`
    symlinkSync(first.pod.path, link)
    const entryOf = (container: string, netns: string) => [nameOf(container), cacheEntry(container, netns, one.result)]
    using cache = scratch({
      ...one.files,
      ...Object.fromEntries([entryOf('first', first.pod.path), entryOf('own', own.pod.path), entryOf('link', link)]),
    })
    const asFirst = ['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', '"$@"; exit $?', 'sh']
    const inBoth = [`--net=${first.pod.path}`, ...asFirst, 'nsenter', `--net=${own.pod.path}`]
    const words = [...inBoth, PLUGIN, 'repair', '-o', 'json', '--cache', cache.directory]
    try {
      const { stdout, exitCode } = await tool(words, { executable: 'nsenter' })
      const whose = (who: string, netns: string) =>
        `${netns} is the network namespace of ${who}, not a pod's; find out who wrote that path`
      expect({ exitCode, of: messagesOf(JSON.parse(stdout).pods) }).toEqual({
        exitCode: 2,
        of: {
          [one.container]: 'repaired',
          first: whose("the node's first process", first.pod.path),
          link: whose("the node's first process", link),
          own: whose('this process itself', own.pod.path),
        },
      })
    } finally {
      rmSync(link)
    }
    for (const pod of [first, own]) expect(await isRepaired(pod)).toBe(false)
  })

  test('one that two containers, or two entries of one, have', async () => {
    const [one, other] = [await spoiled(), await spoiled()]
    using cache = scratch({
      ...one.files,
      [nameOf('stale')]: cacheEntry('stale', one.pod.path, one.result),
      [nameOf('torn')]: cacheEntry('torn', other.pod.path, other.result),
      [nameOf('torn', 'net1')]: cacheEntry('torn', '/run/netns/nowhere', other.result, { ifName: 'net1' }),
    })
    const { before, after } = await changes(one.pod.netns, async () => {
      const { exitCode, pods } = await repairInJson(cache.directory)
      const same = (container: string) =>
        `container ${container} has the same network namespace by its cache entries; remove those of the one that is gone`
      expect(exitCode).toBe(2)
      expect(pods.map(({ message }: { message: string }) => message).sort()).toEqual(
        [
          same('stale'),
          same(one.container),
          `the cache entries name two namespaces: ${other.pod.path} and /run/netns/nowhere`,
        ].sort(),
      )
    })
    expect(after).toBe(before)
    expect(await isRepaired(other)).toBe(false)
  })

  test('the namespace of another pod, when an entry is exchanged between its looks', async () => {
    const [one, other] = [await spoiled(), await spoiled()]
    const { before, after } = await changes(other.pod.netns, async () => {
      const { pods } = await betweenLooks(one.files, (cache) =>
        writeFileSync(cache.file(nameOf(one.container)), cacheEntry('someone-else', other.pod.path, other.result)),
      )
      expect(pods).toMatchObject([{ container: one.container, state: 'gone' }])
    })
    expect(after).toBe(before)
    expect(await isRepaired(one)).toBe(false)
  })
})

/** What a stand-in for ip(8) does while the pod is repaired; while it is looked at, it is the real one. */
const inTurnOf = ({ container }: AddedPod, script: string) => `
  if [ -h ${TURNS}/repair.${container} ]; then ${script}; fi
  exec $REAL_IP "$@"`

async function repairWith(one: AddedPod, script: string) {
  using cache = scratch(one.files)
  using host = hostWhereIpIs(inTurnOf(one, script))
  const [executable = PLUGIN, ...before] = [...host.via, PLUGIN]
  const words = [...before, 'repair', '-o', 'json', '--cache', cache.directory]
  const { stdout, stderr, exitCode } = await tool(words, { executable })
  expect(stderr).toBe('')
  return { exitCode, ...JSON.parse(stdout).pods[0] }
}

describe('a repair whose process', () => {
  test('is killed at its work: its pod gets an error, and its turn is ended', async () => {
    const one = await spoiled()
    expect(await repairWith(one, 'kill -9 $PPID')).toMatchObject({
      exitCode: 2,
      state: 'error',
      message: expect.stringContaining('the process that looked at it was killed, perhaps because memory was short'),
    })
    expect(signsOf(one)).toEqual([])
  })

  test('is stopped at its work: it is killed before a call would do without it, and its turn is ended', async () => {
    const one = await spoiled()
    const started = performance.now()
    expect(await repairWith(one, 'kill -STOP $PPID; exec sleep 300')).toMatchObject({
      exitCode: 2,
      state: 'error',
      message: expect.stringContaining('the process that looked at it timed out after 19 s'),
    })
    expect(performance.now() - started).toBeLessThan(30_000)
    expect(signsOf(one)).toEqual([])
  })

  test('gets no answer from ip(8): the pod is as it was, and its turn is ended', async () => {
    const one = await spoiled()
    expect(await repairWith(one, 'exec sleep 300')).toMatchObject({
      exitCode: 2,
      state: 'error',
      message: expect.stringMatching(
        /^ip: (?:timed out after 10 s|not done within the call's time limit) and was killed/,
      ),
    })
    expect(await isRepaired(one)).toBe(false)
    expect(signsOf(one)).toEqual([])
  })
})

describe('a repair that is ended while it changes a pod', () => {
  /** Starts it, and does something to it and its processes while ip(8) has been told nothing yet. */
  async function endedBy(act: (pids: { looker: number; parent: number }) => void) {
    const one = await spoiled()
    using cache = scratch(one.files)
    const slow =
      'test -e $DIRECTORY/pids || { echo $PPID $(cut -d" " -f4 /proc/$PPID/stat) >$DIRECTORY/pids; sleep 2; }'
    using host = hostWhereIpIs(inTurnOf(one, slow))
    const [command = '', ...args] = [...host.via, PLUGIN, 'repair', '-o', 'json', '--cache', cache.directory]
    const child = execa(command, args, { reject: false })
    const read = () => (existsSync(`${host.directory}/pids`) ? readFileSync(`${host.directory}/pids`, 'utf8') : '')
    await expect.poll(() => read().trim().split(' ').length, { timeout: 15_000 }).toBe(2)
    const [looker = 0, parent = 0] = read().trim().split(' ').map(Number)
    act({ looker, parent })
    const { stdout, exitCode } = await child
    await expect.poll(() => existsSync(`/proc/${looker}/exe`), { timeout: 10_000 }).toBe(false)
    expect(await isRepaired(one)).toBe(true)
    expect(signsOf(one)).toEqual([])
    return { stdout, exitCode }
  }

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s to all of its processes: it changes it to the end',
    async (signal) => {
      const { stdout, exitCode } = await endedBy(({ looker, parent }) => {
        for (const pid of [parent, looker]) process.kill(pid, signal)
      })
      expect(exitCode).toBe(2)
      expect(JSON.parse(stdout).pods).toMatchObject([
        { state: 'repaired', changes: [`+ ${ROUTE4}  # eth0: routes[0]`] },
      ])
    },
  )

  test('by SIGKILL: the process at work changes it to the end, takes its sign down, and goes', async () => {
    await endedBy(({ parent }) => process.kill(parent, 'SIGKILL'))
  })
})

test('names with control characters in a pod that is repaired: none is printed as it is', async () => {
  const EVIL = 'a\nb\r\x1b[2J\x9b31m\u0085\u2028'
  const one = await spoiled()
  await configure(one.pod.netns, 'route add 10.77.0.0/16 via 169.254.1.1 dev eth0 proto 142')
  const entry = { ...OURS, routes: [...OURS.routes, { dst: '10.50.0.1/8', [EVIL]: 1 }] }
  const config = Buffer.from(JSON.stringify({ ...LIST, name: EVIL, plugins: [entry] })).toString('base64')
  using cache = scratch({
    [`${EVIL}-broken`]: EVIL,
    ...one.files,
    [`${LIST.name}-bad-eth0`]: cacheEntry('bad', one.pod.path.replace(/pod$/, 'node'), one.result, {
      config,
      networkName: EVIL,
      cniArgs: [['K8S_POD_NAME', EVIL]],
    }),
    [`${LIST.name}-odd-eth0`]: cacheEntry('odd', `/run/netns/${EVIL}`, one.result, { ifName: EVIL }),
  })
  for (const words of [[], ['-o', 'json'], ['--dry-run']]) {
    const { stdout, stderr } = await tool(['repair', '--cache', cache.directory, ...words])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(stdout + stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/)
    expect(stdout).toContain(words[0] === '-o' ? '"container": "bad"' : '\nbad ')
  }
  expect(existsSync(path.dirname(TURNS))).toBe(true)
})
