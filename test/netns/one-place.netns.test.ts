/** `ip route append` puts several routes into one place: one destination, table and metric. The kernel takes the first. */
import { afterEach, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, configure, inNetns, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const defaults = async (netns: string) => (await routes(netns)).filter((route) => route.startsWith('default'))

test('a route of another plugin before the configured one is refused, one behind it stays', async () => {
  const pod = await calicoPod({ families: [4] })
  const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
  const theirs = 'route append 10.50.0.0/16 dev eth0 proto static'
  const same = 'route append 10.50.0.0/16 via 169.254.1.1 dev eth0 proto static'
  await configure(pod.netns, `${theirs}\n${same}`)
  const { before, after } = await changes(pod.netns, async () => {
    const { code, msg } = await fails('ADD', pod, config)
    expect(code).toBe(7)
    for (const route of ['10.50.0.0/16 dev eth0 proto 4', '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'])
      expect(msg).toContain(route)
  })
  expect(after).toBe(before)
  await configure(pod.netns, `route del 10.50.0.0/16 dev eth0 proto static scope link\n${theirs}`)
  const result = await add(pod, config)
  expect(await inNetns(pod.netns, 'ip', ['route', 'get', '10.50.31.21'])).toContain('via 169.254.1.1')
  await check(pod, { ...config, prevResult: result })
  await del(pod, config)
  expect((await routes(pod.netns)).filter((route) => route.startsWith('10.50.0.0/16'))).toHaveLength(2)
})

test('a default of another NIC before the gateway asked for is refused, one behind it is not', async () => {
  const pod = await calicoPod({ families: [4] })
  const net1 = await ovnNic(pod)
  const config = { defaultRoute: 'keep', ovnGateway: { ipv4: '10.0.1.1' }, prevResult: net1.result }
  await configure(
    pod.netns,
    'route del default\nroute add default via 169.254.1.1 dev eth0\nroute append default via 10.0.1.1 dev net1',
  )
  const { before, after } = await changes(pod.netns, async () => {
    expect(await fails('ADD', net1, config)).toMatchObject({
      code: 7,
      msg: expect.stringContaining('another default route with the same metric: 0.0.0.0/0 via 169.254.1.1 dev eth0'),
    })
  })
  expect(after).toBe(before)
})

test('a default that came after the demotion takes the place of the demoted one, and DEL restores it', async () => {
  const pod = await calicoPod({ families: [4] })
  const net1 = await ovnNic(pod)
  await configure(pod.netns, 'route del default\nroute add default via 10.0.1.1 dev net1')
  const config = { defaultRoute: 'demote', prevResult: net1.result }
  await add(net1, config)
  await configure(pod.netns, 'route add default via 10.0.1.254 dev net1')
  await add(net1, config)
  expect(await defaults(pod.netns)).toEqual(['default via 10.0.1.254 dev net1 proto 144 metric 4026531840'])
  await del(net1, config)
  expect(await defaults(pod.netns)).toEqual(['default via 10.0.1.254 dev net1'])
})
