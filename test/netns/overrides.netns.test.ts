import { afterEach, describe, expect, test } from 'vitest'
import { changes, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, defaults, type Site, site } from '../support/ovn-nic.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

/** What the operator wrote, with what a pod's annotation asks for: Multus makes `args.cni` of its cni-args. */
const conf = (cni: unknown, overrides?: object) => ({
  routes: [{ dst: '10.199.0.0/16' }],
  ...(overrides === undefined ? {} : { overrides }),
  args: { cni },
})
const ROUTES_ALLOWED = { allow: ['routes'], within: ['10.50.0.0/16', 'fd00:10:50::/48'] }

const ours = async (pod: Site) => (await routes(pod.netns)).filter((route) => route.includes('proto 142'))

describe('a pod’s cni-args', () => {
  test.each([
    { title: 'for other plugins of the chain', cni: { ips: ['10.0.0.1/32'], mac: '02:00:00:00:00:01', bandwidth: {} } },
    { title: 'that are null', cni: null },
    { title: 'that are text', cni: 'routes' },
    { title: 'that are empty', cni: {} },
  ])('$title change nothing', async ({ cni }) => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await add(eth0, { ...conf(cni), prevResult: calicoResult(eth0) })
    expect(await ours(pod)).toEqual(['10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142'])
  })

  test('take the place of the routes, where the operator allows it, for ADD, CHECK and DEL alike', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    const before = await routes(pod.netns)
    const cniArgs = {
      routes: [{ dst: '10.50.31.0/24', mtu: 1400 }, { dst: 'fd00:10:50::21/128' }],
      ips: ['10.0.0.1/32'],
    }
    const config = { ...conf(cniArgs, ROUTES_ALLOWED), prevResult: calicoResult(eth0) }
    const result = await add(eth0, config)
    const expected = [
      '10.50.31.0/24 via 169.254.1.1 dev eth0 proto 142 mtu 1400',
      'fd00:10:50::21 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
    ]
    expect(await ours(pod)).toEqual(expected)
    expect(result.routes?.map(({ dst }) => dst)).toEqual(['10.50.31.0/24', 'fd00:10:50::21/128'])
    await check(eth0, { ...config, prevResult: result })
    // CHECK holds the pod to what was asked for it, not to the network's own routes.
    expect(await fails('CHECK', eth0, { ...config, args: {}, prevResult: result })).toMatchObject({ code: 110 })
    await del(eth0, { ...config, prevResult: result })
    expect(await ours(pod)).toEqual([])
    expect(before).toEqual(expect.arrayContaining(await routes(pod.netns)))
  })

  test('may ask for another default route, or for nothing to be changed', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    const allowed = { allow: ['defaultRoute', 'ovnGateway', 'dryRun'], within: ['10.0.1.0/24'] }
    const withArgs = (cni: object) => ({ ...conf(cni, allowed), routes: [], prevResult: net1.result })
    await add(net1, withArgs({ defaultRoute: 'keep' }))
    expect(await defaults(pod.netns)).toHaveLength(2)
    await add(net1, withArgs({ defaultRoute: { ipv6: 'keep' } }))
    expect(await defaults(pod.netns)).toEqual(['default via fd00:10:0:1::1 dev net1 metric 1024'])
    await add(net1, withArgs({ defaultRoute: 'keep', ovnGateway: '10.0.1.1' }))
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.1 dev net1 proto 143',
      'default via fd00:10:0:1::1 dev net1 metric 1024',
    ])
  })
})

describe('refused with code 120, the pod untouched', () => {
  const listed = 'outside "overrides.within" (10.50.0.0/16, fd00:10:50::/48)'
  const notListed = (key: string) => `args.cni.${key}: not in "overrides.allow" of the network configuration`
  const CASES: { cni: object; overrides?: object; msg: string; details?: string }[] = [
    { cni: { routes: [{ dst: '10.50.0.0/16' }] }, msg: notListed('routes') },
    { cni: { routes: [] }, overrides: { within: ['0.0.0.0/0'] }, msg: notListed('routes') },
    { cni: { defaultRoute: 'keep' }, overrides: ROUTES_ALLOWED, msg: notListed('defaultRoute') },
    { cni: { ovnGateway: 'auto' }, overrides: ROUTES_ALLOWED, msg: notListed('ovnGateway') },
    { cni: { kubevirt: false }, overrides: ROUTES_ALLOWED, msg: notListed('kubevirt') },
    { cni: { logLevel: 'debug' }, overrides: ROUTES_ALLOWED, msg: notListed('logLevel') },
    { cni: { logFile: '/etc/shadow' }, overrides: ROUTES_ALLOWED, msg: notListed('logFile') },
    { cni: { overrides: { allow: ['routes'] } }, msg: notListed('overrides') },
    {
      cni: { dryRun: true, routes: [{ dst: '10.60.0.0/16' }], logLevel: 'debug' },
      msg: notListed('routes'),
      details: [notListed('dryRun'), notListed('logLevel')].join('; '),
    },
    {
      cni: { routes: [{ dst: '10.50.31.0/24' }, { dst: '10.60.0.0/16' }] },
      overrides: ROUTES_ALLOWED,
      msg: `args.cni.routes[1].dst: 10.60.0.0/16 is ${listed}`,
    },
    {
      cni: { routes: [{ dst: '10.0.0.0/8' }] },
      overrides: ROUTES_ALLOWED,
      msg: `args.cni.routes[0].dst: 10.0.0.0/8 is ${listed}`,
    },
    {
      cni: { routes: [{ dst: 'fd00:10::/32' }] },
      overrides: ROUTES_ALLOWED,
      msg: `args.cni.routes[0].dst: fd00:10::/32 is ${listed}`,
    },
    {
      // IPv4 in IPv6's clothes is no way around a prefix
      cni: { routes: [{ dst: '::ffff:a32:0/112' }] },
      overrides: { allow: ['routes'], within: ['10.50.0.0/16'] },
      msg: 'args.cni.routes[0].dst: ::ffff:a32:0/112 is outside "overrides.within" (10.50.0.0/16)',
    },
    {
      cni: { routes: [{ dst: '10.50.0.0/24' }] },
      overrides: { allow: ['routes'] },
      msg: 'args.cni.routes[0].dst: 10.50.0.0/24 is outside "overrides.within" (none)',
    },
    {
      cni: { routes: [{ dst: '10.50.31.0/24', gw: '10.60.0.1', onlink: true }] },
      overrides: ROUTES_ALLOWED,
      msg: `args.cni.routes[0].gw: 10.60.0.1 is ${listed}`,
    },
    {
      cni: { routes: [{ dst: '10.50.31.0/24', dev: 'lo' }] },
      overrides: ROUTES_ALLOWED,
      msg: 'args.cni.routes[0].dev: a pod cannot set this; its routes use its NIC',
    },
    {
      cni: { routes: [{ dst: '10.50.31.0/24', table: 100 }] },
      overrides: ROUTES_ALLOWED,
      msg: 'args.cni.routes[0].table: a pod cannot set this; its routes use the main table',
    },
    {
      cni: { ovnGateway: { ipv4: '10.0.1.1', dev: 'net1' } },
      overrides: { allow: ['ovnGateway'], within: ['10.0.1.0/24'] },
      msg: 'args.cni.ovnGateway.dev: a pod cannot set this; its routes use its NIC',
    },
    {
      cni: { ovnGateway: '169.254.1.1' },
      overrides: { allow: ['ovnGateway'], within: ['10.0.1.0/24'] },
      msg: 'args.cni.ovnGateway: 169.254.1.1 is outside "overrides.within" (10.0.1.0/24)',
    },
  ]
  test.each(CASES.map((row) => [JSON.stringify(row.cni), row] as const))('%s', async (_, row) => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    const config = { ...conf(row.cni, row.overrides), prevResult: calicoResult(eth0) }
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg, details } = await fails('ADD', eth0, config)
      expect({ code, msg, details }).toEqual({ code: 120, msg: row.msg, details: row.details })
      expect(await fails('CHECK', eth0, config)).toMatchObject({ code: 120, msg: row.msg })
    })
    expect(after).toBe(before)
    // A DEL that failed would keep the plugins before us from cleaning up.
    await del(eth0, config)
    expect(await ours(pod)).toEqual([])
  })

  test('what is wrong in itself is code 7, with its own path', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    const config = { ...conf({ routes: [{ dst: '10.50.0.1/16' }] }, ROUTES_ALLOWED), prevResult: calicoResult(eth0) }
    expect(await fails('ADD', eth0, config)).toMatchObject({
      code: 7,
      msg: 'args.cni.routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
    })
  })
})
