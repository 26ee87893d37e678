/** Pods with a cache entry, for repair: as they should be, and as they should not. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { clock } from '../../src/kernel/clock.ts'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { configure, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { PLUGIN } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { add, check } from '../support/verbs.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, starting, tool } from './tool.ts'

export const TURNS = '/run/x-calico-route/turns'
/** What calls and repairs have up for a pod. */
export const signsOf = ({ container }: Pick<AddedPod, 'container'>) =>
  existsSync(TURNS) ? readdirSync(TURNS).filter((name) => name.includes(container)) : []

/** As if a call, or another repair, had just begun to work on the pod. */
export function putSign(is: 'call' | 'repair', container: string, directory: string): void {
  mkdirSync(directory, { recursive: true })
  const now = Math.floor(clock())
  if (is === 'call') symlinkSync('call', `${directory}/call.${container}.1.${now}`)
  else symlinkSync(`f00.${now}`, `${directory}/repair.${container}`)
}

export const ROUTE4 = '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'
export const ROUTE6 = 'fd00:10:50::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024'
export const SECOND_NIC = `link add net1 type veth peer name net1host
  addr add 10.9.0.1/24 dev net1
  link set net1 up`

export interface AddedPod {
  readonly container: string
  readonly pod: CalicoPod
  readonly result: unknown
  /** What the cache has of it, named as libcni names it. */
  readonly files: Record<string, string>
}

/** Test files run at once and share the directory of the signs, so each pod has a container ID of its own. */
export async function addedPod(container = `abc${randomBytes(8).toString('hex')}`): Promise<AddedPod> {
  const pod = await calicoPod()
  const result = await add(pod, { ...OURS, prevResult: calicoResult(pod, { release: '3.30' }) })
  return { container, pod, result, files: { [nameOf(container)]: cacheEntry(container, pod.path, result) } }
}

export const nameOf = (container: string, ifname = 'eth0') => `${LIST.name}-${container}-${ifname}`

/** Somebody removes a route of ours, brings the default route back, and adds a route of ours and one of theirs. */
export async function spoil({ pod }: AddedPod): Promise<void> {
  await configure(
    pod.netns,
    `route del 10.50.0.0/16
    route add default via 169.254.1.1 dev eth0 proto 3
    route add 10.77.0.0/16 via 169.254.1.1 dev eth0 proto 142
    route add 10.78.0.0/16 via 169.254.1.1 dev eth0 proto 3`,
  )
}

/** With the route of somebody else, which stays. */
export async function expectRight({ pod, result }: AddedPod): Promise<void> {
  await check(pod, { ...OURS, prevResult: result })
  const there = await routes(pod.netns)
  expect(there).toContain('10.78.0.0/16 via 169.254.1.1 dev eth0')
  expect(there.join('\n')).not.toMatch(/^default|10\.77\./m)
}

export const repair = (directory: string, ...words: string[]) => tool(['repair', '--cache', directory, ...words])

export async function repairInJson(directory: string, ...words: string[]) {
  const { stdout, stderr, exitCode } = await repair(directory, '-o', 'json', ...words)
  expect(stderr).toBe('')
  const { pods, unreadable } = JSON.parse(stdout)
  return { exitCode, pods, unreadable, states: pods.map((one: { state: string }) => one.state) }
}

/** Repairs, and does something between the two looks at the only pod that differs. */
export async function betweenLooks(
  files: Record<string, string>,
  act: (cache: ReturnType<typeof scratch>, child: ReturnType<typeof starting>) => unknown,
) {
  using cache = scratch(files)
  using host = hostWhereIpIs('echo >>$DIRECTORY/looks; exec $REAL_IP "$@"')
  const [executable = '', ...via] = host.via
  const child = starting([...via, PLUGIN, 'repair', '-o', 'json', '--cache', cache.directory], { executable })
  const looks = path.join(host.directory, 'looks')
  // The first look asks twice: what differs, and what is to be done.
  await expect.poll(() => existsSync(looks) && statSync(looks).size, { timeout: 15_000 }).toBe(2)
  await new Promise((resolve) => setTimeout(resolve, 700))
  await act(cache, child)
  const { stdout, stderr, exitCode } = await child
  expect(stderr).toBe('')
  return { exitCode, pods: JSON.parse(stdout).pods }
}
