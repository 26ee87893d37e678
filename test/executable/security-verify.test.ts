/** What `verify` of a node finds was made by tenants. Whatever it is, it costs one verdict, and the other pods get theirs. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { cacheEntry, LIST, OURS } from '../cli/result-cache.ts'
import { scratch, tool } from '../cli/tool.ts'
import { calicoPod } from '../support/calico.ts'
import { configure, netnsPath, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { PLUGIN } from '../support/runtime.ts'
import { type Host, hostWhereIpIs, hostWithOnly } from '../support/tools.ts'
import { add } from '../support/verbs.ts'

afterEach(removeNamespaces)

async function addedPod() {
  const pod = await calicoPod({ families: [4] })
  const routes = OURS.routes.slice(0, 1)
  return { pod, result: await add(pod, { ...OURS, routes, prevResult: calicoResult(pod) }) }
}

const configured = (routes: object[], type = 'calico') => ({
  config: Buffer.from(JSON.stringify({ ...LIST, plugins: [{ type }, { ...OURS, routes }] })).toString('base64'),
})
const ONE = configured(OURS.routes.slice(0, 1))

/** A cache with a pod that is as it should be, and with these files. */
async function besideGoodPod(files: Record<string, string> = {}) {
  const good = await addedPod()
  return scratch({ good: cacheEntry('good', good.pod.path, good.result, ONE), ...files })
}

interface Said {
  readonly exitCode: number
  /** What is said of each container: the differences, why it is an error, else the state. */
  readonly of: Record<string, string | string[]>
  readonly unreadable: { file: string; message: string }[]
}

async function verify(directory: string, host?: Pick<Host, 'via'>, ...words: string[]): Promise<Said> {
  const [executable = PLUGIN, ...before] = [...(host?.via ?? []), PLUGIN]
  const all = [...before, 'verify', '-o', 'json', '--cache', directory, ...words]
  const { stdout, stderr, exitCode } = await tool(all, { executable })
  expect(stderr).toBe('')
  const { attachments, unreadable } = JSON.parse(stdout)
  const of = attachments.map((one: Record<string, string>) => [
    one.container,
    one.message ?? one.differences ?? one.state,
  ])
  return { exitCode, of: Object.fromEntries(of), unreadable }
}

describe('verify of a node, whose cache has', () => {
  test.each<[string, (file: string) => unknown, string]>([
    ['a FIFO', (file) => execa('mkfifo', [file]), 'is a FIFO'],
    ['a link to a device', (file) => symlinkSync('/dev/zero', file), 'is a symbolic link, which is not followed'],
    ['a device', (file) => execa('mknod', [file, 'c', '1', '5']), 'is a device'],
    ['a file of 4 MiB and a byte', (file) => writeFileSync(file, ' '.repeat(4 * 1024 * 1024 + 1)), 'longer than 4 MiB'],
    [
      'a file full of brackets',
      (file) => writeFileSync(file, '['.repeat(4e6)),
      expect.stringMatching(
        /^(?:not JSON: |the process that looked at it ran out of memory \(the limit is 120 MiB\)$)/,
      ),
    ],
    [
      'a file with the name of a container that no container has',
      (file) => writeFileSync(file, cacheEntry('c'.repeat(513), '/run/netns/x', {})),
      'containerId: longer than 512 characters',
    ],
  ])('%s: an unreadable entry, and the pods beside it are looked at', async (_, make, message) => {
    using cache = await besideGoodPod()
    await make(cache.file('bad'))
    expect(await verify(cache.directory)).toEqual({
      exitCode: 1,
      of: { good: 'ok' },
      unreadable: [{ file: cache.file('bad'), message }],
    })
  })

  test('texts of which nothing is one: they are read all the same', async () => {
    const odd = { toString: 1, valueOf: 1 }
    const list = { ...LIST, name: odd, plugins: [{ type: odd }, OURS] }
    const config = Buffer.from(JSON.stringify(list)).toString('base64')
    const more = { config, networkName: odd, cniArgs: [[odd, odd], odd, ['K8S_POD_NAME', odd]] }
    using cache = await besideGoodPod({ odd: cacheEntry('odd', '/run/netns/nowhere', odd, more) })
    expect(await verify(cache.directory)).toEqual({ exitCode: 0, of: { good: 'ok', odd: 'gone' }, unreadable: [] })
    const { stdout } = await tool(['verify', '--cache', cache.directory])
    expect(stdout).toMatch(/^odd +- +- +eth0 +gone$/m)
  })

  test('20,000 broken entries: some are told, and how many more there are', async () => {
    using cache = await besideGoodPod(Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`x${i}`, '{}'])))
    const { stdout, exitCode } = await tool(['verify', '--cache', cache.directory])
    expect(exitCode).toBe(1)
    const lines = stdout.split('\n')
    expect(lines).toHaveLength(24)
    expect(lines[1]).toMatch(/^good .* ok$/)
    expect(lines[22]).toBe('19980 more files cannot be read, see -o json')
  })

  test('namespaces of the node: no pod’s, and not compared with one', async () => {
    const [node, container] = [await addedPod(), await addedPod()]
    using cache = await besideGoodPod({
      own: cacheEntry('own', '/proc/self/ns/net', {}),
      ours: cacheEntry('ours', container.pod.path, {}),
      first: cacheEntry('first', node.pod.path, {}),
      init: cacheEntry('init', '/proc/1/ns/net', {}),
    })
    const whose = (who: string, file: string) =>
      `${file} is the network namespace of ${who}, not a pod's; find out who wrote that path`
    // A process number 1 in one namespace, as on a node, and verify in another.
    const asFirst = ['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', '"$@"; exit $?', 'sh']
    const via = ['nsenter', `--net=${node.pod.path}`, ...asFirst, 'nsenter', `--net=${container.pod.path}`]
    expect(await verify(cache.directory, { via })).toEqual({
      exitCode: 2,
      of: {
        good: 'ok',
        own: whose('this process itself', '/proc/self/ns/net'),
        ours: whose('this process itself', container.pod.path),
        first: whose("the node's first process", node.pod.path),
        init: whose("the node's first process", '/proc/1/ns/net'),
      },
      unreadable: [],
    })
    // Where the node's root is elsewhere, as in a container.
    using host = scratch()
    const put = (file: string) => {
      mkdirSync(path.join(host.directory, path.dirname(file)), { recursive: true })
      symlinkSync(node.pod.path, path.join(host.directory, file))
    }
    for (const file of ['/run/netns/node', '/proc/1/ns/net']) put(file)
    mkdirSync(path.join(host.directory, 'cache'))
    writeFileSync(path.join(host.directory, 'cache/node'), cacheEntry('node', '/run/netns/node', {}))
    expect(await verify('/cache', undefined, '--root', host.directory)).toEqual({
      exitCode: 2,
      of: { node: whose("the node's first process", `${host.directory}/run/netns/node`) },
      unreadable: [],
    })
  })

  test('names with control characters: none is printed as it is', async () => {
    const EVIL = 'a\nb\r\x1b[2J\x9b31m\u0085\u2028'
    const { pod, result } = await addedPod()
    await configure(pod.netns, 'link set eth0 down')
    await execa('ip', ['-n', pod.netns, 'link', 'set', 'eth0', 'name', 'e\x1b[2Jvil'])
    await execa('ip', ['-n', pod.netns, 'link', 'set', 'e\x1b[2Jvil', 'up'])
    const more = { ...ONE, networkName: EVIL, cniArgs: [['K8S_POD_NAME', EVIL]] }
    using cache = scratch({
      [`${EVIL}-broken`]: EVIL,
      one: cacheEntry(EVIL, pod.path, result, { ...more, ifName: EVIL }),
      two: cacheEntry('two', pod.path, result, { ...more, ifName: 'e\x1b[2Jvil' }),
      three: cacheEntry('three', `/${EVIL}/x`, result, more),
    })
    for (const words of [[], ['-o', 'json']]) {
      const { stdout, stderr } = await tool(['verify', '--cache', cache.directory, ...words])
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(stdout + stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/)
      if (words.length === 0) expect(stdout.split('\n')).toHaveLength(6)
      else expect(JSON.parse(stdout).attachments).toContainEqual(expect.objectContaining({ container: EVIL }))
    }
  })
})

/** What a stand-in for ip(8) does in a pod with an interface of that name; in all others it is the real one. */
const inBadPod = (script: string) => `
  if $REAL_IP link show bad >/dev/null 2>&1; then ${script}; fi
  exec $REAL_IP "$@"`

async function besideBadPod() {
  const { pod, result } = await addedPod()
  await configure(pod.netns, 'link add bad type veth peer name bad1')
  return { pod, cache: await besideGoodPod({ bad: cacheEntry('bad', pod.path, result, ONE) }) }
}

describe('verify of a node, of whose pods one', () => {
  const yourself = (pod: { path: string }) => `; to look yourself, run: nsenter --net=${pod.path} ip route`

  test('never lets the look at it end: it gets an error in time, and nothing of the look is left', async () => {
    const { pod, cache: made } = await besideBadPod()
    using cache = made
    using host = hostWhereIpIs(inBadPod('echo $$ $PPID >$DIRECTORY/pids; kill -STOP $PPID; exec sleep 300'))
    const started = performance.now()
    expect(await verify(cache.directory, host)).toEqual({
      exitCode: 2,
      of: { good: 'ok', bad: `the process that looked at it timed out after 15 s${yourself(pod)}` },
      unreadable: [],
    })
    expect(performance.now() - started).toBeLessThan(30_000)
    const pids = readFileSync(`${host.directory}/pids`, 'utf8').trim().split(' ')
    expect(pids).toHaveLength(2)
    await expect.poll(() => pids.filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([])
  })

  test('has hundreds of thousands of next hops: it is looked at in the memory that any other takes', async () => {
    const { pod, cache: made } = await besideBadPod()
    using cache = made
    // 400,000, since as many routes take a quarter of a minute to make.
    const hops = ' nexthop via 169.254.1.1 dev eth0'.repeat(80)
    const routes = Array.from({ length: 5000 }, (_, i) => `route add 20.${i >> 8}.${i & 255}.0/24${hops}`)
    await execa('ip', ['-n', pod.netns, '-batch', '-'], { input: `${routes.join('\n')}\n` })
    expect(await verify(cache.directory)).toEqual({ exitCode: 0, of: { good: 'ok', bad: 'ok' }, unreadable: [] })
  })

  test('has the look at it killed: it gets an error', async () => {
    const { pod, cache: made } = await besideBadPod()
    using cache = made
    using host = hostWhereIpIs(inBadPod('kill -9 $PPID'))
    const killed = 'the process that looked at it was killed, perhaps because memory was short; see dmesg'
    expect(await verify(cache.directory, host)).toEqual({
      exitCode: 2,
      of: { good: 'ok', bad: killed + yourself(pod) },
      unreadable: [],
    })
  })

  test('has the look at it killed once, by a process that had looked at something else before: it is looked at again', async () => {
    const { cache: made } = await besideBadPod()
    using cache = made
    using host = hostWhereIpIs(inBadPod('mkdir $DIRECTORY/once 2>/dev/null && kill -9 $PPID'))
    expect(await verify(cache.directory, host)).toEqual({ exitCode: 0, of: { good: 'ok', bad: 'ok' }, unreadable: [] })
    expect(existsSync(`${host.directory}/once`)).toBe(true)
  })

  test('differs in thousands of routes: a hundred are told, and how many more there are', async () => {
    const { pod, result } = await addedPod()
    const routes = Array.from({ length: 3000 }, (_, i) => ({ dst: `10.${100 + (i >> 8)}.${i & 255}.0/24` }))
    using cache = await besideGoodPod({ bad: cacheEntry('bad', pod.path, result, configured(routes)) })
    const { exitCode, of } = await verify(cache.directory)
    expect({ exitCode, good: of.good }).toEqual({ exitCode: 1, good: 'ok' })
    expect(of.bad).toHaveLength(101)
    expect(of.bad?.at(-1)).toBe('and 2900 more')
    const { stdout } = await tool(['verify', '--quiet', '--cache', cache.directory])
    expect(stdout).toMatch(/^CONTAINER .*\nbad .* routes\[0\]: missing: .* \(and 2999 more, see -o json\)\n$/)
  })

  test('has thousands of addresses: the return paths to the other pods are found all the same', async () => {
    const { pod } = await addedPod()
    const many = Array.from({ length: 1500 }, (_, i) => `addr add 10.77.${i >> 8}.${i & 255}/32 dev eth0`)
    await configure(pod.netns, many.join('\n'))
    using cache = scratch({ bad: cacheEntry('bad', pod.path, {}, ONE) })
    const { exitCode, of } = await verify(cache.directory, { via: ['nsenter', `--net=${netnsPath(pod.node)}`] })
    expect(exitCode).toBe(1)
    // The pod's own address is the first, and the node has a way to that.
    expect(of.bad).toHaveLength(15)
    expect(of.bad?.[0]).toMatch(/^no return path to 10\.77\.0\.0: the node's route is /)
  })
})

describe('the processes that verify has look at pods', () => {
  test('see nothing of its environment, have limits, and are the first to end where memory is short', async () => {
    const { cache: made } = await besideBadPod()
    using cache = made
    const script =
      'for file in environ oom_score_adj limits; do cat /proc/$PPID/$file >$DIRECTORY/$file; done; cat /proc/$$/limits >$DIRECTORY/limits-of-ip'
    using host = hostWhereIpIs(inBadPod(script))
    expect(await verify(cache.directory, { via: ['env', 'SECRET=1', 'NODE_OPTIONS=--no', ...host.via] })).toMatchObject(
      {
        exitCode: 0,
      },
    )
    const environ = readFileSync(`${host.directory}/environ`, 'utf8').split('\0').filter(Boolean).sort()
    expect(environ).toEqual(['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'])
    expect(readFileSync(`${host.directory}/oom_score_adj`, 'utf8')).toBe('1000\n')
    const limits = (file: string) => readFileSync(`${host.directory}/${file}`, 'utf8')
    expect(limits('limits')).toMatch(/^Max data size +\d+ +\d+ +bytes/m)
    expect(limits('limits')).toMatch(/^Max core file size +0 +0 /m)
    expect(limits('limits-of-ip')).toMatch(new RegExp(`^Max data size +${64 * 1024 * 1024} `, 'm'))
  })

  test('go on without a limit of memory where there is no prlimit', async () => {
    using cache = await besideGoodPod()
    using host = hostWithOnly('ip', 'nsenter')
    expect(await verify(cache.directory, host)).toEqual({ exitCode: 0, of: { good: 'ok' }, unreadable: [] })
  })

  test('end with it, also when it is killed', async () => {
    const { cache: made } = await besideBadPod()
    using cache = made
    using host = hostWhereIpIs(inBadPod('echo $PPID $(cut -d" " -f4 /proc/$PPID/stat) >$DIRECTORY/pids; sleep 5'))
    const [command = '', ...args] = [...host.via, PLUGIN, 'verify', '--cache', cache.directory]
    const child = execa(command, args, { reject: false })
    const pids = () => readFileSync(`${host.directory}/pids`, 'utf8').trim().split(' ')
    await expect.poll(() => existsSync(`${host.directory}/pids`) && pids().length, { timeout: 10_000 }).toBe(2)
    const [looker, parent] = pids()
    process.kill(Number(parent), 'SIGKILL')
    await child
    await expect.poll(() => existsSync(`/proc/${looker}/exe`)).toBe(false)
  })
})
