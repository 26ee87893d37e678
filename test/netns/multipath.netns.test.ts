/** Default routes over several next hops, on the real kernel: of this NIC, of two, and of a third that joined. */
import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const OVN6 = 'fd00:10:0:1::1'
const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const DEMOTED = { 4: 'proto 144 metric 4026531840', 6: 'proto 144 metric 4026532864' } as const

const defaults = async (netns: string) => (await routes(netns)).filter((route) => route.startsWith('default'))
const onOvn6 = (how: string) => `default via ${OVN6} dev net1 ${how}`.trimEnd()
const onCalico6 = `default via ${CALICO[6]} dev eth0 metric 1024`

/** A pod whose IPv6 defaults of two NICs the kernel has joined into one. */
async function joined() {
  const pod = await calicoPod({ families: [6] })
  const net1 = await ovnNic(pod)
  await configure(pod.netns, `route append ::/0 via ${OVN6} dev net1`)
  return { pod, net1 }
}

describe('an IPv6 default that the kernel has joined from those of two NICs', () => {
  test('loses the next hop of the NIC by ADD', async () => {
    const { pod, net1 } = await joined()
    const result = await add(net1, { prevResult: net1.result })
    expect(await defaults(pod.netns)).toEqual([onCalico6])
    await check(net1, { prevResult: result })
    await add(pod, { routes: ROUTES.slice(1), prevResult: calicoResult(pod) })
    expect(await defaults(pod.netns)).toEqual([])
  })

  test('has the next hop of the NIC demoted, and exactly this one put back by DEL', async () => {
    const { pod, net1 } = await joined()
    const before = await routes(pod.netns)
    const config = { defaultRoute: 'demote', prevResult: net1.result }
    const result = await add(net1, config)
    expect(await defaults(pod.netns)).toEqual([onOvn6(DEMOTED[6]), onCalico6].sort())
    await check(net1, { ...config, prevResult: result })
    await del(net1, config)
    expect(await routes(pod.netns)).toEqual(before)
  })

  test('gives the gateway that auto finds on the other NIC', async () => {
    const { pod } = await joined()
    await add(pod, { ovnGateway: 'auto', routes: ROUTES.slice(1), prevResult: calicoResult(pod) })
    expect(await defaults(pod.netns)).toEqual([onOvn6('metric 1024')])
  })

  test('is as it was after an ADD that failed', async () => {
    const { pod, net1 } = await joined()
    const { before, after } = await changes(pod.netns, async () => {
      const refused = { dst: 'fd00:10:60::/64', gw: 'fd00:ffff::1' }
      const { code, details } = await fails('ADD', net1, { routes: [refused], prevResult: net1.result })
      expect({ code, details }).toEqual({
        code: 100,
        details: expect.stringContaining("the pod's routes are unchanged"),
      })
    })
    expect(after).toBe(before)
  })
})

test('a third NIC that the kernel joins to a restored default keeps its next hop', async () => {
  const pod = await calicoPod()
  const net1 = await ovnNic(pod)
  await configure(pod.netns, `route del ::/0\nroute add ::/0 via ${OVN6} dev net1`)
  await add(net1, { defaultRoute: 'demote', prevResult: net1.result })
  await configure(pod.netns, `route add ::/0 via ${CALICO[6]} dev eth0`)
  const config = { ovnGateway: { ipv6: 'auto' }, routes: ROUTES, prevResult: calicoResult(pod) }
  await add(pod, config)
  await configure(
    pod.netns,
    'link add net2 type veth peer name p2\nlink set p2 up\nlink set net2 up\naddr add 2001:db8:9::5/64 dev net2 nodad\nroute append ::/0 via 2001:db8:9::1 dev net2',
  )
  await del(pod, config)
  const left = (await defaults(pod.netns)).filter((route) => !route.includes('.'))
  expect(left).toEqual(['default via 2001:db8:9::1 dev net2 metric 1024', onOvn6(DEMOTED[6])].sort())
})

describe('a default over two gateways of one NIC', () => {
  const DEMOTE = { defaultRoute: 'demote' }
  const twoHops = (how: string) => [`default ${how} via 10.0.1.1 dev net1 weight 1 via 10.0.1.2 dev net1 weight 1`]

  /** Next hops come on lines of their own. */
  const joinedDefaults = async (netns: string) =>
    (await routes(netns))
      .join('\n')
      .replaceAll(/\s+nexthop /g, ' ')
      .split('\n')
      .filter((route) => route.startsWith('default'))
      .map((route) => route.replaceAll(/\s+/g, ' ').trim())

  test('is demoted as a whole, restored by auto on Calico’s NIC, demoted by its DEL, and restored by its own', async () => {
    const pod = await calicoPod()
    const net1 = await ovnNic(pod)
    const defaults = (how: string) =>
      `nexthop via 10.0.1.1 dev net1 nexthop via 10.0.1.2 dev net1\n${how}nexthop via ${OVN6} dev net1 nexthop via fd00:10:0:1::2 dev net1`
    await configure(pod.netns, `route del default\nroute del ::/0\nroute add default ${defaults('route add ::/0 ')}`)
    const before = await joinedDefaults(pod.netns)
    expect(before).toHaveLength(2)
    await add(net1, { ...DEMOTE, prevResult: net1.result })
    expect((await joinedDefaults(pod.netns))[0]).toMatch(twoHops(DEMOTED[4])[0] as string)

    await configure(pod.netns, `route add default via ${CALICO[4]} dev eth0\nroute add ::/0 via ${CALICO[6]} dev eth0`)
    const config = { ovnGateway: 'auto', routes: ROUTES, prevResult: calicoResult(pod) }
    const result = await add(pod, config)
    const unmarked = async () => (await joinedDefaults(pod.netns)).map((route) => route.replace(' proto 145', ''))
    expect(await unmarked()).toEqual(before)
    expect(await add(pod, config)).toEqual(result)
    await check(pod, { ...config, prevResult: result })
    await check(net1, { ...DEMOTE, prevResult: net1.result })

    await del(pod, config)
    expect((await joinedDefaults(pod.netns)).every((route) => route.includes('proto 144'))).toBe(true)
    await del(net1, { ...DEMOTE, prevResult: net1.result })
    expect(await joinedDefaults(pod.netns)).toEqual(before)
  })
})

describe('an IPv4 default over two NICs', () => {
  const script = 'route replace default nexthop via 169.254.1.1 dev eth0 nexthop via 10.0.1.1 dev net1'

  test('is replaced by what remains of it, and is back as a whole after a failure', async () => {
    const pod = await calicoPod({ families: [4] })
    await ovnNic(pod)
    await configure(pod.netns, script)
    const { before, after } = await changes(pod.netns, async () => {
      const refused = { dst: '10.60.0.0/16', gw: '192.0.2.1' }
      const { code } = await fails('ADD', pod, { routes: [refused], prevResult: calicoResult(pod) })
      expect(code).toBe(100)
    })
    expect(after).toBe(before)
    const config = { routes: ROUTES.slice(0, 1), prevResult: calicoResult(pod) }
    const result = await add(pod, config)
    expect(await defaults(pod.netns)).toEqual(['default via 10.0.1.1 dev net1'])
    expect(await add(pod, config)).toEqual(result)
  })

  test('by a nexthop object, which is changed as a whole, is refused', async () => {
    const pod = await calicoPod({ families: [4] })
    await ovnNic(pod)
    await configure(
      pod.netns,
      'nexthop add id 1 via 169.254.1.1 dev eth0\nnexthop add id 2 via 10.0.1.1 dev net1\nnexthop add id 3 group 1/2\nroute replace default nhid 3',
    )
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = await fails('ADD', pod, { prevResult: calicoResult(pod) })
      expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^defaultRoute: .*nexthop object 3.*net1/) })
    })
    expect(after).toBe(before)
  })
})
