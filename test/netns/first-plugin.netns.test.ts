import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod, INTERNET, UNDERLAY } from '../support/calico.ts'
import { type FirstPlugin, firstPluginPod } from '../support/first-plugins.ts'
import { removeNamespaces, routes } from '../support/netns.ts'
import { call, host } from '../support/packets.ts'
import { type CalicoRelease, calicoResult } from '../support/results.ts'
import type { CniVersion } from '../support/runtime.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const VIA_CALICO = [
  { dst: '10.50.0.0/16', gw: CALICO[4] },
  { dst: 'fd00:10:50::/64', gw: CALICO[6] },
]
const VERSIONS: CniVersion[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']

describe('after Calico, the Result', () => {
  test.each<CalicoRelease>(['3.30', '3.31', '3.32'])(
    'of release %s gets our routes; its interfaces and addresses stay as they are',
    async (release) => {
      const pod = await calicoPod()
      const prevResult = calicoResult(pod, { release })
      const result = await add(pod, { routes: ROUTES, prevResult })
      // Release 3.32 reports the pod's address with its block's mask as a route; no kernel can hold such a one.
      expect(result).toEqual({ ...prevResult, routes: VIA_CALICO })
      expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toHaveLength(2)
      expect((await routes(pod.netns)).filter((route) => route.startsWith('default'))).toEqual([])
    },
  )

  test.each(VERSIONS.flatMap((cniVersion) => (['3.30', '3.32'] as const).map((release) => ({ cniVersion, release }))))(
    'speaks CNI $cniVersion as the caller does (release $release)',
    async ({ cniVersion, release }) => {
      const pod = await calicoPod()
      const prevResult = calicoResult(pod, { release, cniVersion })
      const result = await add(pod, { cniVersion, routes: ROUTES, prevResult })
      expect(result).toEqual({ ...prevResult, routes: VIA_CALICO })
    },
  )

  test('without an entry for the pod is enough for ADD, CHECK and DEL: the interface is CNI_IFNAME', async () => {
    const pod = await calicoPod()
    const prevResult = calicoResult(pod, { release: '3.30' })
    const result = await add(pod, { routes: ROUTES, prevResult })
    await check(pod, { routes: ROUTES, prevResult: result })
    await del(pod, { routes: ROUTES, prevResult: result })
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([])
  })

  test('naming another interface of the pod leads nobody astray', async () => {
    const pod = await calicoPod()
    const prevResult = { ...calicoResult(pod), interfaces: [{ name: 'lo', sandbox: pod.path }], ips: [] }
    await add(pod, { routes: ROUTES, prevResult })
    expect(await routes(pod.netns)).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
  })

  test('keeps unknown fields at every level, and null where Go printed an empty slice so', async () => {
    const pod = await calicoPod()
    const { interfaces, ips } = calicoResult(pod)
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: interfaces?.map((entry) => ({ ...entry, vendor: { deep: [1, null, 'x'] } })),
      ips: ips?.map((entry) => ({ ...entry, vendor: true })),
      routes: null,
      dns: { nameservers: ['10.96.0.10'], vendor: 1.5 },
      vendor: 'kept',
    }
    const result = await add(pod, { routes: ROUTES, prevResult })
    expect(result).toEqual({ ...prevResult, routes: VIA_CALICO })
  })
})

describe.each<FirstPlugin>(['ptp', 'bridge', 'macvlan'])('after %s', (plugin) => {
  test('takes the defaults away, and the underlay is reached by its gateway', async () => {
    const pod = await firstPluginPod(plugin)
    await using _ = await host(pod.far, 'far')
    const others = (await routes(pod.netns)).filter((route) => !route.startsWith('default'))
    const prevResult = pod.result()

    const result = await add(pod, { routes: ROUTES, prevResult })

    expect(await routes(pod.netns)).toEqual(
      [
        ...others,
        '10.50.0.0/16 via 10.22.0.1 dev eth0 proto 142',
        'fd00:10:50::/64 via fd00:10:22::1 dev eth0 proto 142 metric 1024',
      ].sort(),
    )
    expect(result).toEqual({
      ...prevResult,
      routes: [
        { dst: '10.50.0.0/16', gw: '10.22.0.1' },
        { dst: 'fd00:10:50::/64', gw: 'fd00:10:22::1' },
      ],
    })
    expect(await call(pod.netns, UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6])).toEqual({
      '10.50.31.21': 'far sees 10.22.0.5',
      'fd00:10:50::21': 'far sees fd00:10:22::5',
      '203.0.113.10': 'ENETUNREACH',
      '2001:db8:113::10': 'ENETUNREACH',
    })
  })

  test('CHECK is content, and DEL takes our routes only', async () => {
    const pod = await firstPluginPod(plugin)
    const before = await routes(pod.netns)
    const result = await add(pod, { routes: ROUTES, prevResult: pod.result() })
    await check(pod, { routes: ROUTES, prevResult: result })
    await del(pod, { routes: ROUTES, prevResult: result })
    expect(await routes(pod.netns)).toEqual(before.filter((route) => !route.startsWith('default')))
  })

  test.each<CniVersion>(['0.3.1', '1.1.0'])('speaks CNI %s as the caller does', async (cniVersion) => {
    const pod = await firstPluginPod(plugin)
    const prevResult = pod.result(cniVersion)
    const result = await add(pod, { cniVersion, defaultRoute: { ipv6: 'keep' }, prevResult })
    expect(result).toEqual({ ...prevResult, routes: [{ dst: '::/0' }] })
  })
})

describe('a prevResult of another version', () => {
  test.each<{ from: CniVersion; to: CniVersion }>([
    { from: '0.3.0', to: '0.4.0' },
    { from: '0.4.0', to: '0.3.1' },
    { from: '1.0.0', to: '1.1.0' },
    { from: '1.1.0', to: '1.0.0' },
    { from: '0.3.1', to: '1.0.0' },
    { from: '1.0.0', to: '0.4.0' },
  ])('is told in the configuration’s: $from as $to', async ({ from, to }) => {
    const pod = await calicoPod()
    const prevResult = calicoResult(pod, { cniVersion: from })
    const result = await add(pod, { cniVersion: to, routes: ROUTES, prevResult })
    expect(result).toEqual({ ...calicoResult(pod, { cniVersion: to }), routes: VIA_CALICO })
  })

  test('loses what only CNI 1.1.0 has', async () => {
    const pod = await calicoPod()
    const plain = calicoResult(pod, { release: '3.31' })
    const prevResult = {
      ...plain,
      cniVersion: '1.1.0',
      interfaces: plain.interfaces?.map((entry) => ({
        ...entry,
        mtu: 1450,
        socketPath: '/run/s',
        pciID: '0000:00:01.0',
      })),
      routes: [{ dst: '10.96.0.0/12', gw: CALICO[4], mtu: 1400, advmss: 1360, priority: 5, table: 254, scope: 0 }],
    }
    const result = await add(pod, { cniVersion: '1.0.0', prevResult })
    expect(result).toEqual({ ...plain, routes: [{ dst: '10.96.0.0/12', gw: CALICO[4] }] })
  })

  test('with a route of another table has no form in CNI 0.x', async () => {
    const pod = await calicoPod()
    const prevResult = { ...calicoResult(pod), cniVersion: '1.1.0', routes: [{ dst: '10.96.0.0/12', table: 100 }] }
    const { code, msg } = await fails('ADD', pod, { cniVersion: '0.4.0', prevResult })
    expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^prevResult\.routes\[0\]\.table: /) })
  })
})

describe('our routes in the Result', () => {
  const KEYS = { gw: CALICO[4], priority: 50, mtu: 1400, advmss: 1360, scope: 'global' }

  test('bear every key that was configured, at CNI 1.1.0', async () => {
    const pod = await calicoPod()
    const prevResult = calicoResult(pod, { cniVersion: '1.1.0' })
    const configured = [{ dst: '10.50.0.0/16', ...KEYS, table: 254 }]
    const { routes } = await add(pod, { cniVersion: '1.1.0', routes: configured, prevResult })
    expect(routes).toEqual([{ dst: '10.50.0.0/16', ...KEYS, scope: 0, table: 254 }])
  })

  // The plugins before us look for every route of the Result in the main table when they are asked to CHECK.
  test.each<CniVersion>(['0.4.0', '1.0.0', '1.1.0'])('are told only of the main table: CNI %s', async (cniVersion) => {
    const pod = await calicoPod()
    const prevResult = calicoResult(pod, { cniVersion })
    const { routes } = await add(pod, { cniVersion, routes: [{ dst: '10.60.0.0/16', table: 100 }], prevResult })
    expect(routes).toEqual([])
  })

  test('bear dst and gw alone before CNI 1.1.0', async () => {
    const pod = await calicoPod()
    const configured = [
      { dst: '10.50.0.0/16', ...KEYS },
      { dst: '10.70.0.0/16', scope: 'link' },
    ]
    const { routes } = await add(pod, { routes: configured, prevResult: calicoResult(pod) })
    expect(routes).toEqual([{ dst: '10.50.0.0/16', gw: CALICO[4] }, { dst: '10.70.0.0/16' }])
  })

  test('take the place of an equal one that was there, and stand in the order of the configuration', async () => {
    const pod = await calicoPod()
    const prevResult = {
      ...calicoResult(pod),
      routes: [{ dst: '10.50.0.0/16' }, { dst: '10.96.0.0/12', gw: CALICO[4] }],
    }
    const configured = [{ dst: '10.60.0.0/16' }, { dst: '10.50.0.0/16' }]
    const { routes } = await add(pod, { routes: configured, prevResult })
    expect(routes).toEqual([
      { dst: '10.96.0.0/12', gw: CALICO[4] },
      { dst: '10.60.0.0/16', gw: CALICO[4] },
      { dst: '10.50.0.0/16', gw: CALICO[4] },
    ])
  })
})
