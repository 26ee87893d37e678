import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod, INTERNET, UNDERLAY } from '../support/calico.ts'
import { changes, configure, removeNamespaces, routes } from '../support/netns.ts'
import { OVN_DEFAULTS, ovnNic, VPC_GATEWAY } from '../support/ovn.ts'
import { call, host } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [
  { dst: '10.199.0.0/16' },
  { dst: '10.50.0.0/16' },
  { dst: 'fd00:10:199::/64' },
  { dst: 'fd00:10:50::/64' },
]
const UNDERLAY_BY_CALICO_REST_BY_OVN = {
  '10.50.31.21': 'underlay sees 10.199.3.153',
  'fd00:10:50::21': 'underlay sees fd00:10:199::153',
  '203.0.113.10': 'vpc sees 10.0.1.11',
  '2001:db8:113::10': 'vpc sees fd00:10:0:1::11',
}
const EVERYWHERE = [UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6]] as const
const defaults = async (netns: string) => (await routes(netns)).filter((route) => route.startsWith('default'))

describe('the default routes of another NIC', () => {
  test('stay, and carry what is not the underlay’s, when that NIC came first', async () => {
    const pod = await calicoPod()
    const net1 = await ovnNic(pod, { defaults: 'metric 2000' })
    await using _underlay = await host(pod.underlay, 'underlay')
    await using _vpc = await host(net1.vpc, 'vpc')
    // Calico's own default wins before: the VPC is out of reach.
    expect(await call(pod.netns, INTERNET[4], INTERNET[6])).toEqual({
      '203.0.113.10': 'underlay sees 10.199.3.153',
      '2001:db8:113::10': 'underlay sees fd00:10:199::153',
    })

    await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })

    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.1 dev net1 metric 2000',
      'default via fd00:10:0:1::1 dev net1 metric 2000',
    ])
    expect(await call(pod.netns, ...EVERYWHERE)).toEqual(UNDERLAY_BY_CALICO_REST_BY_OVN)
  })

  test('can be made after us, and survive a second ADD and a DEL', async () => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    const prevResult = await add(pod, config)
    const net1 = await ovnNic(pod)
    await configure(pod.netns, `${OVN_DEFAULTS[4]}\n${OVN_DEFAULTS[6]}`)
    await using _underlay = await host(pod.underlay, 'underlay')
    await using _vpc = await host(net1.vpc, 'vpc')
    expect(await call(pod.netns, ...EVERYWHERE)).toEqual(UNDERLAY_BY_CALICO_REST_BY_OVN)

    await add(pod, config)
    await check(pod, { ...config, prevResult })
    expect(await call(pod.netns, ...EVERYWHERE)).toEqual(UNDERLAY_BY_CALICO_REST_BY_OVN)

    await del(pod, { ...config, prevResult })
    expect(await call(pod.netns, ...EVERYWHERE)).toEqual({
      ...UNDERLAY_BY_CALICO_REST_BY_OVN,
      '10.50.31.21': 'no answer', // the VPC's router knows no underlay
      'fd00:10:50::21': 'no answer',
    })
  })

  test('stay when they took the place of Calico’s, as kube-ovn’s do', async () => {
    const pod = await calicoPod()
    await ovnNic(pod)
    await configure(
      pod.netns,
      `route replace default via ${VPC_GATEWAY[4]} dev net1\nroute del ::/0\n${OVN_DEFAULTS[6]}`,
    )
    const result = await add(pod, { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) })
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.1 dev net1',
      'default via fd00:10:0:1::1 dev net1 metric 1024',
    ])
    expect(result.routes).toEqual([{ dst: '10.50.0.0/16', gw: CALICO[4] }])
  })

  test('are the ones to go when that NIC is CNI_IFNAME', async () => {
    const pod = await calicoPod()
    const net1 = await ovnNic(pod, { defaults: 'metric 2000' })
    await add(net1, { routes: [{ dst: '10.60.0.0/16' }], prevResult: net1.result })
    expect(await routes(pod.netns)).toContain('10.60.0.0/16 via 10.0.1.1 dev net1 proto 142')
    expect(await defaults(pod.netns)).toEqual([
      'default via 169.254.1.1 dev eth0',
      `default via ${CALICO[6]} dev eth0 metric 1024`,
    ])
  })
})

describe('two NICs of one pod', () => {
  test('are served at the same time by two calls that do not disturb each other', async () => {
    const pod = await calicoPod()
    const net1 = await ovnNic(pod, { defaults: 'metric 2000' })
    const calicoConfig = { routes: ROUTES, prevResult: calicoResult(pod) }
    const ovnConfig = { routes: [{ dst: '10.60.0.0/16' }, { dst: 'fd00:10:60::/64' }], prevResult: net1.result }

    await Promise.all([add(pod, calicoConfig), add(net1, ovnConfig)])

    const expected = [
      '10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      '10.60.0.0/16 via 10.0.1.1 dev net1 proto 142',
      `fd00:10:199::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
      `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
      'fd00:10:60::/64 via fd00:10:0:1::1 dev net1 proto 142 metric 1024',
    ]
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual(expected)
    expect(await defaults(pod.netns)).toEqual([])
    await Promise.all([check(pod, calicoConfig), check(net1, ovnConfig)])

    await del(net1, ovnConfig)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual(
      expected.filter((route) => route.includes('eth0')),
    )
  })

  test('that configure the same destination: the second is refused, the first keeps it', async () => {
    const pod = await calicoPod()
    const net1 = await ovnNic(pod, { defaults: 'metric 2000' })
    await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = await fails('ADD', net1, { routes: [{ dst: '10.50.0.0/16' }], prevResult: net1.result })
      expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^routes\[0\]: .*10\.50\.0\.0\/16.*eth0/) })
    })
    expect(after).toBe(before)
  })
})
