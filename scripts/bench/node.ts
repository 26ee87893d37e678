import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contenders.ts'
import { createPods } from './pods.ts'
import { configuration, destinations, ONE } from './scenarios.ts'

const ATTACHMENTS = { quick: 200, full: 1000 } as const

/** What the tool for people does for all attachments of a node. */
export interface NodeRow {
  readonly command: 'verify' | 'repair'
  readonly differing: 'nothing' | 'all'
  readonly attachments: number
  readonly seconds: number
  /** Peak of anonymous memory of all its processes together, in MiB. */
  readonly anonymousMiB: number
}

/** Looks at a node on which nothing differs; then every pod loses its routes and gets its default routes back. */
export async function measureNode({ command }: Contender, scratch: string, quick: boolean): Promise<NodeRow[]> {
  const attachments = ATTACHMENTS[quick ? 'quick' : 'full']
  console.error(`bench: ${attachments} attachments of a node`)
  const pods = await createPods(attachments)
  const cache = path.join(scratch, 'cache')
  mkdirSync(cache)
  for (let i = 0; i < attachments; i++)
    writeFileSync(path.join(cache, `k8s-pod-network-c${i}-eth0`), entryOf(`c${i}`, `${pods.path}${i}`))
  const rows: NodeRow[] = []
  for (const [verb, differing] of [
    ['verify', 'nothing'],
    ['repair', 'nothing'],
    ['verify', 'all'],
    ['repair', 'all'],
    ['repair', 'nothing'],
  ] as const) {
    const isSecond = rows.length === 4
    if (!isSecond) await pods.reset(attachments, differing === 'all' ? 'fresh' : 'done', destinations(ONE.routes))
    const { states, ...measured } = await run([...command, verb, '--cache', cache, '-o', 'json'])
    const expected = differing === 'nothing' ? 'ok' : verb === 'verify' ? 'differs' : 'repaired'
    if (states.length !== attachments || states.some((state) => state !== expected))
      throw new Error(`${verb}, ${differing} differing: ${new Set(states).size} states, expected ${expected} for all`)
    // The last one only makes sure that the repair was one.
    if (!isSecond) rows.push({ command: verb, differing, attachments, ...measured })
  }
  rmSync(cache, { recursive: true })
  return rows
}

/** What libcni writes of an ADD. */
function entryOf(containerId: string, netns: string): string {
  const { name, cniVersion, prevResult, ...plugin } = JSON.parse(configuration(ONE, { dialect: 'x-calico-route' }))
  const list = { name, cniVersion, plugins: [{ type: 'calico' }, plugin] }
  const config = Buffer.from(JSON.stringify(list)).toString('base64')
  const result = { ...prevResult, routes: [] }
  return JSON.stringify({ kind: 'cniCacheV1', containerId, config, ifName: 'eth0', networkName: name, netns, result })
}

async function run([file = '', ...args]: readonly string[]) {
  const start = performance.now()
  const child = spawn(file, args, { env: {}, stdio: ['ignore', 'pipe', 'inherit'] })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  let isOver = false
  child.on('error', reject)
  child.on('close', () => {
    isOver = true
    resolve()
  })
  let peak = 0
  while (!isOver) {
    peak = Math.max(peak, anonymousOf(child.pid ?? 0))
    await sleep(EVERY_MS)
  }
  await closed
  const seconds = (performance.now() - start) / 1000
  const { attachments, pods } = JSON.parse(stdout) as Record<string, { state: string }[] | undefined>
  return { states: (attachments ?? pods ?? []).map(({ state }) => state), seconds, anonymousMiB: peak / 1024 }
}

const EVERY_MS = 10

/** KiB, of a process and all that it started. */
function anonymousOf(pid: number): number {
  try {
    const [, own = '0'] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
    return children.reduce((sum, child) => sum + anonymousOf(Number(child)), Number(own))
  } catch {
    return 0 // It has ended.
  }
}
