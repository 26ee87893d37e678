/** What a route takes over from the way it is learnt from, and whose gateway counts. */
import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { configure, inNetns, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

describe.each([
  { family: 4, dst: '10.60.0.0/16', to: '10.60.1.1', gw: '10.0.1.1', src: '10.0.1.77', def: 'default' },
  {
    family: 6,
    dst: 'fd00:10:60::/64',
    to: 'fd00:10:60::1',
    gw: 'fd00:10:0:1::1',
    src: 'fd00:10:0:1::77',
    def: '::/0',
  },
])('a route learnt from an IPv$family default', ({ family, dst, to, gw, src, def }) => {
  async function vpcPod() {
    const pod = await calicoPod()
    const nic = await ovnNic(pod)
    const length = family === 4 ? '24' : '64 nodad'
    await configure(
      pod.netns,
      `addr add ${src}/${length} dev net1\nroute add ${def} via ${gw} dev net1 metric 2000 src ${src} mtu 1400 advmss 1300`,
    )
    return nic
  }
  const way = async (netns: string) => {
    const text = await inNetns(netns, 'ip', ['route', 'get', to, 'oif', 'net1'])
    return { src: / src (\S+)/.exec(text)?.[1], mtu: / mtu (\d+)/.exec(text)?.[1] }
  }

  test('leads as it did: source, MTU and MSS come along, on a repeated ADD and for CHECK, too', async () => {
    const nic = await vpcPod()
    const before = await way(nic.netns)
    expect(before).toEqual({ src, mtu: '1400' })
    for (const cniVersion of ['1.0.0', '1.1.0'] as const) {
      const config = { cniVersion, routes: [{ dst }], prevResult: nic.result }
      const result = await add(nic, config)
      expect(await way(nic.netns)).toEqual(before)
      expect(await add(nic, config)).toEqual(result)
      await check(nic, { ...config, prevResult: result })
      const [told] = (result.routes ?? []).filter((route) => route.dst === dst)
      expect(told).toEqual({ dst, gw, ...(cniVersion === '1.1.0' ? { mtu: 1400, advmss: 1300 } : {}) })
      await del(nic, config)
      await configure(nic.netns, `route add ${def} via ${gw} dev net1 metric 2000 src ${src} mtu 1400 advmss 1300`)
    }
  })

  test('is held by CHECK to what the Result told, from CNI 1.1.0 on', async () => {
    const nic = await vpcPod()
    const config = { cniVersion: '1.1.0' as const, routes: [{ dst }], prevResult: nic.result }
    const prevResult = await add(nic, config)
    await configure(nic.netns, `route replace ${dst} via ${gw} dev net1 proto 142 src ${src} mtu 1300 advmss 1300`)
    const { details } = await fails('CHECK', nic, { ...config, prevResult })
    expect(details).toMatch(/^routes\[0\]: expected .* mtu 1400 .*, found .* mtu 1300 /)
  })

  test('has what its entry says instead, and lends that to no other', async () => {
    const nic = await vpcPod()
    const other = family === 4 ? '10.70.0.0/16' : 'fd00:10:70::/64'
    const config = { routes: [{ dst, mtu: 1350 }, { dst: other }], prevResult: nic.result }
    await add(nic, config)
    await configure(nic.netns, `route del ${other}`)
    await add(nic, config)
    const text = (await routes(nic.netns)).filter((route) => route.includes('proto 142'))
    expect(text).toContainEqual(expect.stringMatching(`^${dst} .*src ${src}.* mtu 1350 advmss 1300`))
    // The MTU of that one is its own, and the default is gone: it is not known any more.
    expect(text).toContainEqual(expect.stringMatching(`^${other} .*src ${src}(?!.* mtu).* advmss 1300`))
  })

  test('is learnt from a table where it goes to it', async () => {
    const nic = await vpcPod()
    await configure(
      nic.netns,
      `route del ${def} via ${gw} dev net1 metric 2000\nroute add ${def} via ${gw} dev net1 table 1001 mtu 1380`,
    )
    const inMain = await fails('ADD', nic, { routes: [{ dst }], prevResult: nic.result })
    expect(inMain.msg).toContain('is in table 1001')
    const config = { routes: [{ dst, table: 1001 }], prevResult: nic.result }
    const result = await add(nic, config)
    const text = await inNetns(nic.netns, 'ip', [`-${family}`, 'route', 'show', 'table', '1001', 'proto', '142'])
    expect(text).toMatch(`${dst} via ${gw} dev net1`)
    expect(text).toContain('mtu 1380')
    expect(await add(nic, config)).toEqual(result)
    await check(nic, { ...config, prevResult: result })
  })
})

describe('the gateway that counts', () => {
  const ips = [
    { interface: 0, address: '10.8.9.5/24', gateway: '10.8.9.1' },
    { interface: 1, address: '10.0.1.11/24', gateway: '10.0.1.1' },
  ]
  const interfaces = [{ name: 'net2' }, { name: 'net1' }]

  test.each([
    { case: 'is that of the NIC by its index', prev: { interfaces, ips } },
    {
      case: 'is one without index, where none is of the NIC',
      prev: { interfaces, ips: [ips[0], { ...ips[1], interface: undefined }] },
    },
    { case: 'is one whose index leads nowhere', prev: { ips: [{ ...ips[1], interface: 7 }] } },
  ])('$case', async ({ prev }) => {
    const pod = await calicoPod({ families: [4] })
    const nic = await ovnNic(pod)
    await configure(pod.netns, 'route del default')
    await add(nic, { ovnGateway: 'auto', prevResult: prev })
    expect(await routes(pod.netns)).toContain('default via 10.0.1.1 dev net1 proto 143')
  })

  test('is never that of another NIC', async () => {
    const pod = await calicoPod({ families: [4] })
    const nic = await ovnNic(pod)
    await configure(pod.netns, 'route del default')
    const { code, msg } = await fails('ADD', nic, { ovnGateway: 'auto', prevResult: { interfaces, ips: [ips[0]] } })
    expect({ code, msg }).toEqual({ code: 7, msg: expect.stringContaining('reported no gateway for net1') })
  })
})

test('Calico’s block of addresses leaves the Result, also where the pod has its first address; a route that is there stays', async () => {
  const pod = await calicoPod()
  const first = { 4: '10.199.217.128', 6: 'fd00:10:199:2::' }
  const block = { 4: '10.199.217.128/26', 6: 'fd00:10:199:2::/122' }
  const prevResult = {
    ...calicoResult(pod),
    ips: [{ address: `${first[4]}/32` }, { address: `${first[6]}/128` }],
    routes: [{ dst: block[4] }, { dst: block[6] }, { dst: '10.199.0.0/16', gw: '169.254.1.1' }],
  }
  const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult }
  const told = [
    { dst: '10.199.0.0/16', gw: '169.254.1.1' },
    { dst: '10.50.0.0/16', gw: '169.254.1.1' },
  ]
  expect((await add(pod, config)).routes).toEqual(told)
  await configure(pod.netns, `route add ${block[4]} dev eth0 scope link`)
  expect((await add(pod, config)).routes).toEqual([{ dst: block[4] }, ...told])
})
