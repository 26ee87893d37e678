import { afterEach, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

/** More than the plugin looks through twice. */
const OTHERS = Array.from({ length: 1200 }, (_, i) => `172.16.${i >> 8}.${i & 255}`)

async function crowdedPod(): Promise<CalicoPod> {
  const pod = await calicoPod()
  const batch = OTHERS.map((dst) => `route add ${dst} via ${CALICO[4]} dev eth0 proto static`)
  await configure(pod.netns, batch.join('\n'))
  return pod
}
const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const conf = (pod: CalicoPod, more: object = {}) => ({ routes: ROUTES, prevResult: calicoResult(pod), ...more })
const others = (all: readonly string[]) => all.filter((route) => route.startsWith('172.16.')).length

test('ADD, again, CHECK and DEL do in a pod with many routes what they do in others', async () => {
  const pod = await crowdedPod()
  const config = conf(pod)
  const result = await add(pod, config)
  const after = await routes(pod.netns)
  expect(after.filter((route) => !route.startsWith('172.16.'))).toEqual([
    '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    '169.254.1.1 dev eth0 scope link',
    'fd00:10:199::153 dev eth0 proto kernel metric 256',
    `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
  ])
  expect(others(after)).toBe(OTHERS.length)
  expect(await add(pod, config)).toEqual(result)
  await check(pod, { ...config, prevResult: result })
  await configure(pod.netns, `route replace 10.50.0.0/16 dev eth0 proto 142`)
  const { details } = await fails('CHECK', pod, { ...config, prevResult: result })
  expect(details).toMatch(/^routes\[0\]: expected 10\.50\.0\.0\/16 via 169\.254\.1\.1/)
  await del(pod, config)
  const left = await routes(pod.netns)
  expect(left.filter((route) => / proto 142/.test(route))).toEqual([])
  expect(others(left)).toBe(OTHERS.length)
})

test('an ADD that is refused half-way leaves a pod with many routes as it was', async () => {
  const pod = await crowdedPod()
  const { before, after } = await changes(pod.netns, async () => {
    const config = conf(pod, { routes: [...ROUTES, { dst: '10.99.0.0/16', gw: '192.0.2.1' }] })
    const { code, details } = await fails('ADD', pod, config)
    expect({ code, details }).toEqual({ code: 100, details: expect.stringContaining("the pod's routes are unchanged") })
  })
  expect(after).toBe(before)
})

test('an ADD of 10,000 routes of which the kernel refuses the last leaves the pod as it was', async () => {
  const pod = await calicoPod()
  const many = Array.from({ length: 9999 }, (_, i) => ({ dst: `10.${100 + (i >> 8)}.${i & 255}.0/24` }))
  const { before, after } = await changes(pod.netns, async () => {
    const { code } = await fails('ADD', pod, conf(pod, { routes: [...many, { dst: '10.99.0.0/16', gw: '192.0.2.1' }] }))
    expect(code).toBe(100)
  })
  expect(after).toBe(before)
})
