import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Start } from '../../scripts/build/sea-blob.ts'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { type Call, callsOn, instructions, traced } from '../support/counts.ts'
import { removeNamespace, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, PLUGIN, run, type Verb } from '../support/runtime.ts'
import { add } from '../support/verbs.ts'
import { BUILD_RECORD, startedOf, temporaryDirectory } from './product.ts'

/**
 * What a call costs, by counts that a busy machine does not change. Whoever makes calls dearer on purpose changes the
 * numbers here; who fails here without a purpose has made them dearer on every node.
 */
interface Counts {
  /** The programs that each child process executes. */
  readonly children: readonly string[][]
  /** What the plugin opens, beside EVERY_CALL_OPENS. */
  readonly opens: readonly string[]
  readonly exitCode?: number
  /** Instructions of the plugin's own process, without its child, in units of those of a Node that does nothing, by what it starts from. */
  readonly instructions?: Readonly<Record<Start, number>>
}

/** One process: nsenter, which becomes ip. */
const CHILD = [['nsenter', 'ip']]
const NETNS = ['CNI_NETNS']

const CALLS = {
  VERSION: { children: [], opens: [], instructions: { snapshot: 1.125, plain: 1.95 } },
  ADD: { children: CHILD, opens: NETNS, instructions: { snapshot: 1.258, plain: 2.7 } },
  'a second ADD': { children: CHILD, opens: NETNS },
  // Only `ip -6` lists and makes IPv6 rules.
  'ADD with sourceRouting': { children: [...CHILD, ...CHILD], opens: NETNS },
  'ADD with sourceRouting, without an IPv6 address': { children: CHILD, opens: NETNS },
  // The clock of the log record.
  'ADD with a wrong configuration': { children: [], opens: ['/etc/localtime'], exitCode: 1 },
  'ADD with a set': { children: CHILD, opens: ['the set', ...NETNS], instructions: { snapshot: 1.28, plain: 2.9 } },
  'ADD with a set that is missing': { children: [], opens: ['/etc/localtime', 'the set'], exitCode: 1 },
  CHECK: { children: CHILD, opens: NETNS },
  'CHECK with a set': { children: CHILD, opens: ['the set', ...NETNS] },
  'DEL with a set': { children: CHILD, opens: NETNS },
  'DEL of a living pod': { children: CHILD, opens: NETNS, instructions: { snapshot: 1.206, plain: 2.43 } },
  'DEL with sourceRouting': { children: [...CHILD, ...CHILD], opens: NETNS },
  'DEL with sourceRouting, without an IPv6 address': { children: CHILD, opens: NETNS },
  'DEL of a pod that is gone': { children: [], opens: NETNS },
  STATUS: { children: CHILD, opens: ['/proc/self/ns/net', '/proc/self/status'] },
  GC: { children: [], opens: [] },
} satisfies Record<string, Counts>

/** By Node, libuv and V8, before the plugin's first line; and the process's name, which the plugin writes. */
const EVERY_CALL_OPENS = [
  '/dev/null',
  '/proc/meminfo',
  '/proc/self/cgroup',
  '/proc/self/comm',
  '/proc/self/maps',
  '/proc/version_signature',
  '/sys/fs/cgroup/…',
  'the executable',
]

/** Four workers of V8 and their clock. An asynchronous use of files would start libuv's four as well. */
const THREADS = 5

/**
 * By how much the instructions may exceed the table. From run to run they differ by 0.1 %, and at times the bare Node's by
 * 0.6 %. The rest is for other processors: glibc, V8 and simdutf choose their code by what the processor can do, and the
 * plugin and the bare Node do not gain by quite the same factor (with glibc kept from AVX2 and ERMS: 0.5 %). A test that
 * fails for the processor's sake would teach people to ignore it. From source text, V8 compiles more or less beside the main thread: an
 * ADD differs by 4 % from run to run.
 */
const TOLERANCE = { snapshot: 1.03, plain: 1.06 } satisfies Record<Start, number>

type Name = keyof typeof CALLS
const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]

const missing = ['strace', 'valgrind'].filter(
  (tool) => !['/usr/bin', '/usr/local/bin'].some((directory) => existsSync(path.join(directory, tool))),
)
if (missing.length > 0) {
  const said = `What a call costs cannot be counted without ${missing.join(' and ')}: apt-get install ${missing.join(' ')}`
  if (process.env.CI) throw new Error(said)
  console.warn(`${said}. Its tests are left out`)
}

afterEach(removeNamespaces)

/** Makes a pod such that the call is what its name says. */
async function prepare(name: Name): Promise<Call> {
  const pod = await calicoPod()
  const prevResult = calicoResult(pod)
  switch (name) {
    case 'VERSION':
      return { env: { CNI_COMMAND: 'VERSION' }, stdin: '{"cniVersion":"1.0.0"}' }
    case 'ADD':
      return call('ADD', pod, { prevResult })
    case 'a second ADD':
      await add(pod, { routes: ROUTES, prevResult })
      return call('ADD', pod, { prevResult })
    case 'ADD with sourceRouting':
      return call('ADD', pod, { prevResult, sourceRouting: true })
    case 'ADD with sourceRouting, without an IPv6 address': {
      const pod4 = await calicoPod({ families: [4] })
      return call('ADD', pod4, { prevResult: calicoResult(pod4), sourceRouting: true, routes: [ROUTES[0]] })
    }
    case 'DEL with sourceRouting': {
      const keys = { sourceRouting: true, routes: ROUTES }
      return call('DEL', pod, { ...keys, prevResult: await add(pod, { ...keys, prevResult }) })
    }
    case 'DEL with sourceRouting, without an IPv6 address': {
      const pod4 = await calicoPod({ families: [4] })
      const keys = { sourceRouting: true, routes: [{ dst: '10.50.0.0/16' }] }
      return call('DEL', pod4, { ...keys, prevResult: await add(pod4, { ...keys, prevResult: calicoResult(pod4) }) })
    }
    case 'ADD with a wrong configuration':
      return call('ADD', pod, { prevResult, routes: [{ dst: '10.50.0.1/16' }] })
    case 'ADD with a set':
      return call('ADD', pod, { prevResult, ...withSet('underlay') })
    case 'ADD with a set that is missing':
      return call('ADD', pod, { prevResult, ...withSet('missing') })
    case 'CHECK with a set':
      return call('CHECK', pod, {
        ...withSet('underlay'),
        prevResult: await add(pod, { ...withSet('underlay'), prevResult }),
      })
    case 'DEL with a set':
      return call('DEL', pod, {
        ...withSet('underlay'),
        prevResult: await add(pod, { ...withSet('underlay'), prevResult }),
      })
    case 'CHECK':
      return call('CHECK', pod, { prevResult: await add(pod, { routes: ROUTES, prevResult }) })
    case 'DEL of a living pod':
      return call('DEL', pod, { prevResult: await add(pod, { routes: ROUTES, prevResult }) })
    case 'DEL of a pod that is gone':
      removeNamespace(pod.netns)
      return call('DEL', pod, { prevResult })
    case 'STATUS':
      return call('STATUS', pod, { cniVersion: '1.1.0' })
    case 'GC':
      return call('GC', pod, { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] })
    default:
      throw name satisfies never
  }
}

/** The same routes, by a file. */
function withSet(set: string) {
  const setsDir = temporaryDirectory()
  writeFileSync(path.join(setsDir, 'underlay'), ROUTES.map(({ dst }) => `${dst}\n`).join(''))
  return { setsDir, routes: [{ set }] }
}

function call(verb: Verb, pod: CalicoPod, keys: object): Call {
  const conf = { cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'x-calico-route', routes: ROUTES, ...keys }
  return { env: environment(verb, pod), stdin: JSON.stringify(conf) }
}

const counts = Object.entries(CALLS) as [Name, Counts][]

describe.skipIf(missing.length > 0)('what a call costs:', () => {
  test.each(counts)('%s runs and opens what it needs, and nothing else', async (name, expected) => {
    const { stdout, ...trace } = await traced(temporaryDirectory(), await prepare(name))
    const { children, opens, exitCode = 0 } = expected
    expect(trace, stdout).toEqual({
      exitCode,
      children,
      threads: THREADS,
      opens: [...new Set([...EVERY_CALL_OPENS, ...opens])].sort(),
    })
  })

  test('an ADD with a set opens its file, looks what it is, reads it once, and closes it', async () => {
    const call = await prepare('ADD with a set')
    const { setsDir } = JSON.parse(call.stdin)
    const calls = await callsOn(path.join(setsDir, 'underlay'), temporaryDirectory(), call)
    expect(calls).toEqual(['openat', expect.stringMatching(/^(fstat|statx|newfstatat)$/), 'read', 'close'])
  })

  test.each([
    ['one more without the directory of turns', 'true', ['stat']],
    ['four more with it, by which a repair knows of the call', 'mkdir turns', ['stat', 'symlink', 'stat', 'unlink']],
  ])('system calls: %s', async (_, make, expected) => {
    const { env, stdin } = await prepare('ADD')
    const log = path.join(temporaryDirectory(), 'strace')
    const shell = `mkdir -p /run/x-calico-route; cd /run/x-calico-route; mount -t tmpfs none .; cd .; ${make}; exec "$@"`
    const strace = ['strace', '-f', '--trace=%file', '-o', log]
    expect(await run(env, stdin, ['unshare', '--mount', 'sh', '-ec', shell, 'sh', ...strace])).toMatchObject({
      exitCode: 0,
    })
    const calls = readFileSync(log, 'utf8').matchAll(/ (?:l|new)?f?(\w+?)(?:at|x)?\(.*x-calico-route\/turns/g)
    expect(Array.from(calls, ([, name]) => name)).toEqual(expected)
  })

  /** Fifty times as slow as without it, and the machine may be busy. */
  const VALGRIND_MS = 300_000
  const { kind } = startedOf(BUILD_RECORD)
  const counted = counts.flatMap(([name, { instructions }]) =>
    instructions ? [[name, kind, instructions[kind]] as const] : [],
  )
  test.each(counted)(
    '%s of the %s build executes hardly more than %s times the instructions of a bare Node',
    async (name, _, expected) => {
      const bare = await bareNode()
      const executed = await instructions(temporaryDirectory(), [PLUGIN], await prepare(name))
      expect(executed / bare).toBeLessThanOrEqual(expected * TOLERANCE[kind])
    },
    VALGRIND_MS,
  )
})

let measured: Promise<number> | undefined

/** The Node that the executable is made of, which runs this, doing nothing. The option is one that the executable has, too. */
function bareNode(): Promise<number> {
  if (measured === undefined) {
    const directory = temporaryDirectory()
    const script = path.join(directory, 'empty.js')
    writeFileSync(script, '')
    measured = instructions(directory, [process.execPath, '--no-rehash-snapshot', script], { env: {}, stdin: '' })
  }
  return measured
}
