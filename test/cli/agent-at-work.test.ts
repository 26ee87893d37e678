import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { configure, removeNamespaces, routes } from '../support/netns.ts'
import { agent, severalLooks } from './agent.ts'
import {
  ALL_ROUTES,
  follows,
  INTERNET_SET,
  LIMIT_MS,
  type LivingPod,
  Node,
  nodeWith,
  oursOf,
  UNDERLAY_ROUTES,
  UNDERLAY_SET,
} from './living-pods.ts'

afterEach(removeNamespaces)

describe('two agents at once', () => {
  test('do the same, and do not disturb each other', async () => {
    const node = new Node({ underlay: UNDERLAY_SET })
    const agents = [1, 2].map(() => agent(node.words('--interval', '1', '--repair')))
    for (const { until } of agents) await until(/^ready$/)
    const pods = [await (await node.pod('aaa')).attach(), await (await node.pod('bbb')).attach()]
    for (const [text, expected] of [
      [UNDERLAY_SET + INTERNET_SET, ALL_ROUTES],
      [UNDERLAY_SET, UNDERLAY_ROUTES],
    ] as const) {
      node.map.write({ underlay: text })
      for (const pod of pods) await follows(pod, expected, LIMIT_MS)
    }
    await configure(pods[0]?.pod.netns ?? '', 'route del 10.50.0.0/16')
    for (const pod of pods) await follows(pod, UNDERLAY_ROUTES, 15_000)
    for (const { all, end } of agents) {
      expect(all().filter(({ level }) => level === 'error')).toEqual([])
      await end()
    }
    expect(readdirSync(node.at('sets'))).toEqual(['underlay'])
  })
})

describe('runtimes at work', () => {
  test('a hundred ADDs and DELs while sets change every second: none fails, and nothing is left', {
    timeout: 180_000,
  }, async () => {
    const { node, running } = await nodeWith('--interval', '0.5', '--repair')
    const pods = await Promise.all(Array.from({ length: 10 }, (_, i) => node.pod(`pod-${i}`)))
    const before = await Promise.all(pods.map(({ pod }) => routes(pod.netns)))
    let isOver = false
    const changing = (async () => {
      for (let i = 0; !isOver; i += 1) {
        node.map.write({ underlay: UNDERLAY_SET + (i % 2 ? INTERNET_SET : '') })
        await sleep(1000)
      }
    })()
    const live = async (pod: LivingPod) => {
      for (let i = 0; i < 10; i += 1) {
        await pod.attach()
        await sleep((i * 377) % 1500)
        await pod.call('DEL')
        pod.forget()
        // As a runtime would, whose next ADD finds the NIC as Calico makes it.
        await configure(
          pod.pod.netns,
          'route replace default via 169.254.1.1 dev eth0\nroute replace ::/0 via fe80::ecee:eeff:feee:eeee dev eth0',
        )
      }
    }
    await Promise.all(pods.map(live))
    isOver = true
    await changing
    await severalLooks()
    expect(await Promise.all(pods.map(({ pod }) => routes(pod.netns)))).toEqual(before)
    await running.end()
    expect(readdirSync('/run/x-calico-route/turns').filter((name) => name.includes('pod-'))).toEqual([])
  })
})

test('SIGTERM at any moment leaves no temporary file, no turn and no process, and no set or pod half', {
  timeout: 300_000,
}, async () => {
  const node = new Node({ underlay: UNDERLAY_SET })
  const first = agent(node.words())
  await first.until(/^ready$/)
  await first.end()
  const pods = [await (await node.pod('aaa')).attach(), await (await node.pod('bbb')).attach()]
  const texts = [UNDERLAY_SET, UNDERLAY_SET + INTERNET_SET]
  for (let round = 0; round < 16; round += 1) {
    node.map.write({ underlay: texts[round % 2] ?? '' })
    const running = agent(node.words('--interval', '0.2', '--repair', '--metrics', '0'))
    const pid = running.child.pid
    // The repair of a changed set takes some four seconds from here.
    await sleep((round * 293) % 4600)
    const processes = descendantsOf(pid)
    const started = performance.now()
    running.child.kill('SIGTERM')
    const { exitCode, signal } = await running.child
    expect(performance.now() - started).toBeLessThan(10_000)
    // In its first milliseconds it does not yet know of signals.
    expect(signal ?? exitCode).toBe(running.all().length > 0 ? 0 : (signal ?? 0))
    for (const process of processes) await expect.poll(() => isRunning(process), { timeout: 2000 }).toBe(false)
    expect(readdirSync(node.at('bin')).filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(readdirSync(node.at('sets'))).toEqual(['underlay'])
    expect(texts).toContain(node.copied('underlay'))
    expect(readdirSync('/run/x-calico-route/turns').filter((name) => /aaa|bbb/.test(name))).toEqual([])
    for (const pod of pods) expect([UNDERLAY_ROUTES, ALL_ROUTES]).toContainEqual(await oursOf(pod))
  }
})

/** A process by its number and when it was started: numbers come again. */
interface Process {
  readonly pid: number
  readonly since: string
}

function descendantsOf(pid: number | undefined): Process[] {
  const children = attempt(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')) ?? ''
  return children
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .flatMap((child) => [{ pid: child, since: startOf(child) }, ...descendantsOf(child)])
}

const startOf = (pid: number) =>
  attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19]) ?? ''

/** One that has ended and was not waited for has no executable any more. */
const isRunning = ({ pid, since }: Process) => existsSync(`/proc/${pid}/exe`) && startOf(pid) === since

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
