import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unreachableInOrder } from '../../src/plan/kubevirt.ts'
import { bind, boot, inGuest, NICS, type Nic, offerOf, shutDown } from '../support/bridge-binding.ts'
import { INTERNET, POD, UNDERLAY } from '../support/calico.ts'
import { type Client, DHCP_PROGRAMS } from '../support/dhcp-clients.ts'
import { changes, configure, createNamespaces, inNetns, removeNamespaces } from '../support/netns.ts'
import { attachCalico, attachOvn, paths, type Site, separatePaths, site } from '../support/ovn-nic.ts'
import { isMissing } from '../support/packages.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { add, failure } from '../support/verbs.ts'

const missing = isMissing(DHCP_PROGRAMS, "KubeVirt's DHCP")

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'xcr-kubevirt-'))
})
afterEach(removeNamespaces)
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const calicoOnly = { routes: [], defaultRoute: 'keep' }
const throughGateway = { routes: [{ dst: '10.199.0.0/16' }, { dst: '10.50.0.0/16' }] }
const onLink = { kubevirt: true, routes: [{ dst: '10.50.0.0/16', scope: 'link' }] }

describe.skipIf(missing).each<Client>(['isc-dhcp-client', 'udhcpc'])('a VM whose DHCP client is %s', (client) => {
  /** A VM on a pod's NICs after Calico's chain, and with `ovn` after kube-ovn's, have run. */
  const vm = async (pod: Site, conf: object, { ovn = false } = {}) => {
    const { guest } = await createNamespaces('guest')
    const eth0 = await attachCalico(pod)
    await add(eth0, { ...conf, prevResult: calicoResult(eth0) })
    const nics: Nic[] = ['eth0']
    if (ovn) {
      const net1 = await attachOvn(pod, { defaultRoute: false })
      await add(net1, { ovnGateway: '10.0.1.1', prevResult: net1.result })
      nics.push('net1')
    }
    const offers = await Promise.all(nics.map((nic) => offerOf(pod, nic)))
    const servers: AsyncDisposable[] = []
    for (const [index, nic] of nics.entries()) {
      const offer = offers[index]
      if (!offer) throw new Error(`no offer for ${nic}`)
      servers.push(await bind(pod, guest, nic, offer, scratch))
      await boot(guest, client, nic, scratch)
    }
    return {
      guest,
      offers,
      async [Symbol.asyncDispose]() {
        await shutDown(guest)
        await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
      },
    }
  }

  test('on Calico alone gets its default route', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, calicoOnly)
    expect(await inGuest(one.guest)).toEqual(['169.254.1.1 dev eth0', 'default via 169.254.1.1 dev eth0'])
    expect(await paths(one.guest, UNDERLAY[4], INTERNET[4])).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}, 5 packets by eth0`,
      [INTERNET[4]]: `underlay sees ${POD[4]}, 5 packets by eth0`,
    })
  })

  test('gets the underlay, and nothing else, where the routes are on-link', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, onLink)
    expect(await inGuest(one.guest)).toEqual(['10.50.0.0/16 dev eth0', '169.254.1.1 dev eth0'])
    expect(await paths(one.guest, UNDERLAY[4], INTERNET[4])).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}, 5 packets by eth0`,
      [INTERNET[4]]: 'ENETUNREACH, no packets',
    })
  })

  test('reaches the underlay by Calico and the rest by OVN', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, onLink, { ovn: true })
    expect(await inGuest(one.guest)).toEqual([
      '10.0.1.0/24 dev net1',
      '10.50.0.0/16 dev eth0',
      '169.254.1.1 dev eth0',
      'default via 10.0.1.1 dev net1',
    ])
    expect(await paths(one.guest, UNDERLAY[4], INTERNET[4])).toEqual(separatePaths([4]))
  })

  test('gets no underlay where the routes lead through a gateway that the offer names too late', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, throughGateway)
    expect(one.offers.map((offer) => offer && unreachableInOrder(offer, NICS.eth0.address))).toEqual([
      ['10.50.0.0/16', '10.199.0.0/16'],
    ])
    expect(await inGuest(one.guest)).toEqual(['169.254.1.1 dev eth0'])
    expect(await paths(one.guest, UNDERLAY[4])).toEqual({ [UNDERLAY[4]]: 'ENETUNREACH, no packets' })
  })
})

describe("KubeVirt's offer, from the kernel's own dump", () => {
  const offer = async (conf: object) => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachCalico(pod)
    await add(eth0, { ...conf, prevResult: calicoResult(eth0) })
    return offerOf(pod, 'eth0')
  }

  test('of Calico alone has its default as router and, last, as a classless route', async () => {
    expect(await offer(calicoOnly)).toEqual({
      router: '169.254.1.1',
      classlessRoutes: [
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      ],
    })
  })

  test('of routes through a gateway makes it the router, and has the prefix that the VM itself is in', async () => {
    expect(await offer(throughGateway)).toEqual({
      router: '169.254.1.1',
      classlessRoutes: [
        { dst: '10.50.0.0/16', gw: '169.254.1.1' },
        { dst: '10.199.0.0/16', gw: '169.254.1.1' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
      ],
    })
  })

  test('of on-link routes has no router, and suits every client', async () => {
    const made = await offer(onLink)
    expect(made).toEqual({
      classlessRoutes: [
        { dst: '10.50.0.0/16', gw: '0.0.0.0' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
      ],
    })
    expect(made && unreachableInOrder(made, NICS.eth0.address)).toEqual([])
  })
})

describe('kubevirt: true refuses, the pod untouched', () => {
  const CASES = [
    {
      title: 'to leave an addressed NIC without route',
      before: `
        route replace default dev eth0
        route del 169.254.1.1`,
      conf: {},
      msg: /^kubevirt: eth0 would keep no IPv4 route/,
    },
    {
      title: 'more routes than option 121 holds',
      before: '',
      conf: { routes: Array.from({ length: 36 }, (_, i) => ({ dst: `10.${i + 1}.0.0/16` })) },
      msg: /^kubevirt: the 37 IPv4 routes of eth0 take 261 bytes of DHCP option 121, the limit is 255;/,
    },
    {
      title: 'an unreachable route',
      before: 'route add unreachable 10.60.0.0/16',
      conf: { routes: [{ dst: '10.50.0.0/16' }] },
      msg: /^kubevirt: KubeVirt 1\.1 and later cannot, with any binding, read a route that leads nowhere, unreachable 10\.60\.0\.0\/16/,
    },
    {
      title: 'a blackhole route',
      before: 'route add blackhole 10.60.0.0/16',
      conf: { routes: [{ dst: '10.50.0.0/16' }] },
      msg: /^kubevirt: KubeVirt 1\.1 and later cannot, with any binding, read a route that leads nowhere, blackhole 10\.60\.0\.0\/16/,
    },
    {
      title: 'a multipath route on another NIC',
      before: 'route add 10.60.0.0/16 nexthop via 10.0.1.1 dev net1 nexthop via 10.0.1.2 dev net1',
      conf: { routes: [{ dst: '10.50.0.0/16' }] },
      msg: /^kubevirt: KubeVirt 1\.1 and later cannot, with any binding, read the multipath route 10\.60\.0\.0\/16/,
    },
  ]
  test.each(CASES)('$title', async ({ before: script, conf, msg }) => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await attachOvn(pod, { defaultRoute: false })
    await configure(pod.netns, script)
    const config = { ...conf, prevResult: calicoResult(eth0) }
    const { before, after } = await changes(pod.netns, async () => {
      const said = failure(await run(environment('ADD', eth0), { ...config, kubevirt: true }))
      expect(said).toMatchObject({ code: 7, msg: expect.stringMatching(msg) })
    })
    expect(after).toBe(before)
    await add(eth0, config) // which a pod without VM is welcome to
  })

  test('but takes routes of the kernel that KubeVirt does not look at', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await configure(pod.netns, 'route add unreachable 10.60.0.0/16 table 100\nroute add unreachable fd00:60::/64')
    await add(eth0, { ...onLink, prevResult: calicoResult(eth0) })
    expect(await inNetns(pod.netns, 'ip', ['route', 'show', '10.50.0.0/16'])).toContain('dev eth0 proto 142 scope link')
  })
})
