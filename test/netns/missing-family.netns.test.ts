import { afterEach, describe, expect, test } from 'vitest'
import { withNetns } from '../../src/kernel/netns.ts'
import { readSet } from '../../src/kernel/set-file.ts'
import { type Repaired, repair } from '../../src/verbs/repair.ts'
import { CALICO, type CalicoPod, calicoPod, POD, type Pod, UNDERLAY } from '../support/calico.ts'
import { changes, configure, inNetns, linkLocalReady, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, defaults, OVN_POD, ROUTER, site } from '../support/ovn-nic.ts'
import { call, host } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { type CniResult, type Config, environment, run } from '../support/runtime.ts'
import { check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const SKIP = {
  cniVersion: '1.0.0',
  name: 'k8s-pod-network',
  type: 'x-calico-route',
  routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }],
  missingFamily: 'skip',
} as const
const ROUTE4 = `10.50.0.0/16 via ${CALICO[4]} dev eth0 proto 142`
const ROUTE6 = `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`
const NO_IPV6 = 'missingFamily: IPv6 is skipped on eth0, which has no IPv6 address: '

const ours = async ({ netns }: Pick<Pod, 'netns'>) =>
  (await routes(netns)).filter((route) => route.includes('proto 142'))

/** ADD that must succeed with a warning. */
async function addWarned(pod: Pod, config: Config): Promise<{ result: CniResult; warning: string }> {
  const { stdout, stderr, exitCode } = await run(environment('ADD', pod), config)
  expect({ exitCode, lines: stderr.split('\n').length }, stdout).toEqual({ exitCode: 0, lines: 2 })
  const { level, warning } = JSON.parse(stderr)
  expect(level).toBe('warn')
  return { result: JSON.parse(stdout), warning }
}

function repaired({ path, ifname }: Pod, conf: object): Promise<Repaired> {
  const asked = [{ conf: { ...SKIP, ...conf }, ifname }]
  return repair(asked, path, { withNetns, readSet, agree: () => true })
}

/** CHECK passes, and repair finds nothing to do. */
async function expectRight(pod: Pod, config: Config & object): Promise<void> {
  const { before, after } = await changes(pod.netns, async () => {
    await check(pod, config)
    expect(await repaired(pod, config)).toEqual({ found: [], ops: [] })
  })
  expect(after).toBe(before)
}

const disableIpv6 = ({ netns }: CalicoPod) => configure(netns, 'sysctl net.ipv6.conf.eth0.disable_ipv6=1')

async function enableIpv6({ netns }: CalicoPod): Promise<void> {
  await configure(netns, 'sysctl net.ipv6.conf.eth0.disable_ipv6=0')
  await linkLocalReady(netns, 'eth0')
  await configure(netns, `route add ::/0 via ${CALICO[6]} dev eth0\naddr add ${POD[6]}/128 dev eth0 nodad`)
}

test('a pod with IPv4 alone gets the IPv4 routes, and its Result has no others', async () => {
  const pod = await calicoPod({ families: [4] })
  const config = { ...SKIP, prevResult: calicoResult(pod) }
  const { result, warning } = await addWarned(pod, config)
  expect(warning).toBe(`${NO_IPV6}routes[1]`)
  expect(await ours(pod)).toEqual([ROUTE4])
  expect(result.routes).toEqual([{ dst: '10.50.0.0/16', gw: CALICO[4] }])
  await using _ = await host(pod.underlay, 'underlay')
  expect(await call(pod.netns, UNDERLAY[4])).toEqual({ [UNDERLAY[4]]: `underlay sees ${POD[4]}` })

  expect(await addWarned(pod, config)).toEqual({ result, warning })
  await expectRight(pod, { ...config, prevResult: result })
  await del(pod, config)
  expect(await ours(pod)).toEqual([])
})

test('the same network refuses the pod without the key, as it did', async () => {
  const pod = await calicoPod({ families: [4] })
  const { before, after } = await changes(pod.netns, async () => {
    expect(await fails('ADD', pod, { routes: SKIP.routes, prevResult: calicoResult(pod) })).toMatchObject({
      code: 7,
      msg: 'routes[1]: no next hop to fd00:10:50::/64 is known on eth0, which has no IPv6 address; assign one by "ipam", or write "missingFamily": "skip"',
    })
  })
  expect(after).toBe(before)
})

test('a pod may be left without any route of ours', async () => {
  const pod = await calicoPod({ families: [4] })
  const config = { ...SKIP, routes: [{ dst: 'fd00:10:50::/64', gw: CALICO[6] }], prevResult: calicoResult(pod) }
  const { result, warning } = await addWarned(pod, config)
  expect(warning).toBe(`${NO_IPV6}routes[0]`)
  expect(await ours(pod)).toEqual([])
  await expectRight(pod, { ...config, prevResult: result })
})

test('a dry run tells what it would skip', async () => {
  const pod = await calicoPod({ families: [4] })
  const { warning } = await addWarned(pod, { ...SKIP, dryRun: true, prevResult: calicoResult(pod) })
  expect(warning).toBe(`dryRun: nothing was changed; ${NO_IPV6}routes[1]`)
})

describe('where IPv6 is disabled after the plugin that reports it', () => {
  test('what is skipped is no difference, also not to a rule that sends its packets elsewhere', async () => {
    const pod = await calicoPod()
    await disableIpv6(pod)
    const config = { ...SKIP, prevResult: calicoResult(pod) }
    const { result } = await addWarned(pod, config)
    expect(await ours(pod)).toEqual([ROUTE4])
    await inNetns(pod.netns, 'ip', '-6 rule add to fd00:10:50::/64 table 77'.split(' '))
    await configure(pod.netns, 'route add fd00:10:50::/64 dev lo table 77')
    await expectRight(pod, { ...config, prevResult: result })
  })

  test('CHECK misses the routes once it is enabled, and repair brings them; until it goes again', async () => {
    const pod = await calicoPod()
    await disableIpv6(pod)
    const { result } = await addWarned(pod, { ...SKIP, prevResult: calicoResult(pod) })
    const config = { ...SKIP, prevResult: result }

    await enableIpv6(pod)
    const { code, details } = await fails('CHECK', pod, config)
    expect(code).toBe(110)
    expect(details).toMatch(/^routes\[1\]: missing: fd00:10:50::\/64 via fe80::/)
    expect(details).toContain('defaultRoute: not removed: ::/0')
    const { found, ops, left } = await repaired(pod, config)
    expect({ found: found.length, ops: ops.length, left }).toEqual({ found: 2, ops: 2, left: undefined })
    expect(await ours(pod)).toEqual([ROUTE4, ROUTE6])
    await expectRight(pod, config)
    await using _ = await host(pod.underlay, 'underlay')
    expect(await call(pod.netns, UNDERLAY[6])).toEqual({ [UNDERLAY[6]]: `underlay sees ${POD[6]}` })

    await disableIpv6(pod)
    expect(await ours(pod)).toEqual([ROUTE4])
    await expectRight(pod, config)
  })

  test('a route that outlives the address stays until DEL', async () => {
    const pod = await calicoPod()
    const prevResult = calicoResult(pod)
    const { stdout } = await run(environment('ADD', pod), { ...SKIP, prevResult })
    const config = { ...SKIP, prevResult: JSON.parse(stdout) }
    await configure(pod.netns, `addr del ${POD[6]}/128 dev eth0`)
    expect(await ours(pod)).toEqual([ROUTE4, ROUTE6])
    await expectRight(pod, config)
    await del(pod, config)
    expect(await ours(pod)).toEqual([])
  })
})

describe('with two NICs', () => {
  test('a route is left out if the NIC that "dev" names lacks its family, or that of the call does', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod, { defaultRoute: false })
    const eth0 = await attachCalico(pod)
    await configure(pod.netns, `addr del ${OVN_POD[6]}/64 dev net1`)
    const routes = [
      { dst: '10.60.0.0/16', dev: 'net1', gw: ROUTER[4] },
      { dst: 'fd00:60::/64', dev: 'net1', scope: 'link' },
    ]
    const config = { ...SKIP, routes: [...SKIP.routes, ...routes], prevResult: calicoResult(eth0) }
    const { result, warning } = await addWarned(eth0, config)
    expect(warning).toBe('missingFamily: IPv6 is skipped on net1, which has no IPv6 address: routes[3]')
    expect(await ours(pod)).toEqual([ROUTE4, '10.60.0.0/16 via 10.0.1.1 dev net1 proto 142', ROUTE6])
    await expectRight(eth0, { ...config, prevResult: result })

    await configure(pod.netns, `addr add ${OVN_POD[6]}/64 dev net1 nodad`)
    expect((await repaired(eth0, { ...config, prevResult: result })).found).toEqual([
      'eth0: routes[3]: missing: fd00:60::/64 dev net1 proto 142 metric 1024',
    ])
    await expectRight(eth0, { ...config, prevResult: result })
    await del(eth0, config)
    expect(await ours(net1)).toEqual([])
  })

  const GATEWAYS = { ipv4: 'auto', ipv6: 'auto' }
  const ON_NET1 = 'default via 10.0.1.1 dev net1'

  test('a gateway is left out of a NIC without its family, which is told, and comes with the address', async () => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachCalico(pod)
    await run(environment('ADD', eth0), { ...SKIP, prevResult: calicoResult(eth0) })
    const net1 = await attachOvn(pod)
    const config = { ...SKIP, routes: [], ovnGateway: GATEWAYS, prevResult: net1.result }
    const { result, warning } = await addWarned(net1, config)
    expect(warning).toBe('missingFamily: IPv6 is skipped on net1, which has no IPv6 address: ovnGateway.ipv6')
    expect(await defaults(pod.netns)).toEqual([ON_NET1])
    await expectRight(net1, { ...config, prevResult: result })

    await configure(pod.netns, `addr add ${OVN_POD[6]}/64 dev net1 nodad`)
    expect(await fails('CHECK', net1, { ...config, prevResult: result })).toMatchObject({
      details: expect.stringContaining('ovnGateway: no IPv6 gateway is known'),
    })
    const named = { ...config, ovnGateway: { ipv4: 'auto', ipv6: 'fd00:10:0:1::1' }, prevResult: result }
    expect((await repaired(net1, named)).ops).toHaveLength(1)
    expect(await defaults(pod.netns)).toEqual([ON_NET1, 'default via fd00:10:0:1::1 dev net1 proto 143 metric 1024'])
    await expectRight(net1, named)
    await configure(pod.netns, `addr del ${OVN_POD[6]}/64 dev net1`)
    await expectRight(net1, named)
  })

  test('nothing is done about gateways if none is left, which is told', async () => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachCalico(pod)
    const before = await defaults(pod.netns)
    const config = { ...SKIP, defaultRoute: 'keep', ovnGateway: 'fd00:10:0:1::1', prevResult: calicoResult(eth0) }
    const { warning } = await addWarned(eth0, config)
    expect(warning).toBe(
      `${NO_IPV6}routes[1], ovnGateway; missingFamily: nothing of ovnGateway is left, so it does nothing`,
    )
    expect(await defaults(pod.netns)).toEqual(before)
  })
})
