/** What the kernel and other plugins have made is satisfied as it is, and stays theirs: by ADD, CHECK, DEL and a rollback. */
import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod } from '../support/calico.ts'
import { changes, configure, inNetns, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const CONNECTED = {
  4: '10.0.1.0/24 dev net1 proto kernel scope link src 10.0.1.11',
  6: 'fd00:10:0:1::/64 dev net1 proto kernel metric 256',
} as const
const DST = { 4: '10.0.1.0/24', 6: 'fd00:10:0:1::/64' } as const

/** A pod with a NIC net1 of the VPC, whose default routes are there. */
async function vpcPod() {
  const pod = await calicoPod()
  return ovnNic(pod, { defaults: 'metric 2000' })
}

describe.each([4, 6] as const)('a destination that the NIC reaches directly, IPv%i', (family) => {
  const dst = DST[family]

  test.each([{ keys: {} }, { keys: { scope: 'link' } }, { keys: { priority: 0 } }])(
    'is there already, with $keys: the route stays the kernel’s through ADD, CHECK and DEL',
    async ({ keys }) => {
      const nic = await vpcPod()
      const config = { routes: [{ dst, ...keys }], prevResult: nic.result }
      const result = await add(nic, config)
      expect(await routes(nic.netns)).toContain(CONNECTED[family])
      expect((await routes(nic.netns)).filter((route) => route.startsWith(`${dst} `))).toHaveLength(1)
      expect(result.routes).toContainEqual({ dst })
      expect(await add(nic, config)).toEqual(result)
      await check(nic, { ...config, prevResult: result })

      await configure(nic.netns, `route del ${dst}`)
      const { code, details } = await fails('CHECK', nic, { ...config, prevResult: result })
      expect({ code, details }).toEqual({
        code: 110,
        details: expect.stringMatching(`^routes\\[0\\]: missing: ${dst} `),
      })
      await configure(nic.netns, `route add ${family === 4 ? CONNECTED[4] : `${dst} dev net1 proto kernel metric 256`}`)

      await del(nic, config)
      expect(await routes(nic.netns)).toContain(CONNECTED[family])
    },
  )

  test('is no hindrance to a route that goes through it', async () => {
    const nic = await vpcPod()
    const far = { 4: '10.60.0.0/16', 6: 'fd00:10:60::/64' }[family]
    await add(nic, { routes: [{ dst }, { dst: far }], prevResult: nic.result })
    expect(await routes(nic.netns)).toContainEqual(expect.stringMatching(`^${far} via .* dev net1 proto 142`))
  })

  test.each([
    { keys: { mtu: 1400 }, names: '"mtu"' },
    { keys: { src: { 4: '10.199.3.153', 6: 'fd00:10:199::153' }[family] }, names: '"src"' },
    { keys: { mtu: 1400, advmss: 1360 }, names: '"mtu" and "advmss"' },
  ])('cannot be given $names by us, which is said', async ({ keys, names }) => {
    const nic = await vpcPod()
    const { before, after } = await changes(nic.netns, async () => {
      const { code, msg } = await fails('ADD', nic, { routes: [{ dst, ...keys }], prevResult: nic.result })
      expect(code).toBe(7)
      expect(msg).toContain(`routes[0]: ${names} cannot be set on the route of the kernel, ${dst} dev net1`)
      expect(msg).toMatch(new RegExp(`remove ${names}, or add a "priority" to have a second route$`))
    })
    expect(after).toBe(before)
    await add(nic, { routes: [{ dst, ...keys, priority: 4000 }], prevResult: nic.result })
    expect(await routes(nic.netns)).toContain(CONNECTED[family])
  })
})

test('with a gateway written, a connected destination is refused, and the message advises no more than was written', async () => {
  const nic = await vpcPod()
  const { before, after } = await changes(nic.netns, async () => {
    const { msg } = await fails('ADD', nic, { routes: [{ dst: DST[4], gw: '10.0.1.1' }], prevResult: nic.result })
    expect(msg).toBe(
      'routes[0]: the pod already has another route to 10.0.1.0/24: 10.0.1.0/24 dev net1 proto 2 src 10.0.1.11, where 10.0.1.0/24 via 10.0.1.1 dev net1 proto 142 would go; remove "gw" to use that one, or write another "priority"',
    )
  })
  expect(after).toBe(before)
})

test('Calico’s link route stays, also when nothing leads through it any more', async () => {
  const pod = await calicoPod({ families: [4] })
  const config = { routes: [{ dst: '169.254.1.1/32' }], prevResult: calicoResult(pod) }
  const result = await add(pod, config)
  const left = ['169.254.1.1 dev eth0 scope link']
  expect(await routes(pod.netns)).toEqual(left)
  expect(await add(pod, config)).toEqual(result)
  await check(pod, { ...config, prevResult: result })
  await del(pod, config)
  expect(await routes(pod.netns)).toEqual(left)
})

test('the link route of a next hop with a wider prefix stays, too', async () => {
  const pod = await calicoPod({ families: [4] })
  await configure(
    pod.netns,
    'route del default\nroute del 169.254.1.1\nroute add 192.0.2.0/24 dev eth0 scope link\nroute add default via 192.0.2.1 dev eth0',
  )
  const config = { routes: [{ dst: '192.0.2.0/24' }], prevResult: calicoResult(pod) }
  const result = await add(pod, config)
  expect(await routes(pod.netns)).toContain('192.0.2.0/24 dev eth0 scope link')
  expect(await add(pod, config)).toEqual(result)
  await check(pod, { ...config, prevResult: result })
})

test('what another plugin made on the NIC is refused, and what IPAM made just so stays', async () => {
  const pod = await calicoPod()
  await configure(
    pod.netns,
    `route add 10.60.0.0/16 via 169.254.1.1 dev eth0 mtu 1400\nroute add fd00:10:60::/64 via ${CALICO[6]} dev eth0`,
  )
  const { before, after } = await changes(pod.netns, async () => {
    const { msg } = await fails('ADD', pod, { routes: [{ dst: '10.60.0.0/16' }], prevResult: calicoResult(pod) })
    expect(msg).toBe(
      'routes[0]: the pod already has another route to 10.60.0.0/16: 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 3 mtu 1400, where 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142 would go; write another "priority"',
    )
  })
  expect(after).toBe(before)
  const config = { routes: [{ dst: '10.60.0.0/16', mtu: 1400 }, { dst: 'fd00:10:60::/64' }] }
  await add(pod, { ...config, prevResult: calicoResult(pod) })
  await del(pod, { ...config, prevResult: calicoResult(pod) })
  const left = await inNetns(pod.netns, 'ip', ['route', 'show', '10.60.0.0/16'])
  expect(left.trim()).toBe('10.60.0.0/16 via 169.254.1.1 dev eth0 mtu 1400')
  expect(await routes(pod.netns)).toContain(`fd00:10:60::/64 via ${CALICO[6]} dev eth0 metric 1024`)
})

test('an IPv6 route that another plugin appends beside ours is no longer ours to replace', async () => {
  const pod = await calicoPod()
  const config = { routes: [{ dst: 'fd00:10:50::/64' }], prevResult: calicoResult(pod) }
  const result = await add(pod, config)
  await configure(pod.netns, 'route append fd00:10:50::/64 via fe80::99 dev eth0 proto static')
  expect((await fails('CHECK', pod, { ...config, prevResult: result })).details).toMatch(/fe80::99/)
  expect((await fails('ADD', pod, config)).msg).toMatch(/^routes\[0\]: the pod already has another route/)
  await del(pod, config)
  expect(await routes(pod.netns)).toContain('fd00:10:50::/64 via fe80::99 dev eth0 proto static metric 1024')
})
