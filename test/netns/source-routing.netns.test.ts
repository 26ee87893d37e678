import { afterEach, describe, expect, test } from 'vitest'
import { HOST_VETH, INTERNET, POD } from '../support/calico.ts'
import { AUTO, calicoConfig, calicoDefaults, ovnConfig } from '../support/chains.ts'
import { configure, removeNamespaces } from '../support/netns.ts'
import { attachCalico, attachOvn, defaults, OVN_POD, ROUTER, type Site, site } from '../support/ovn-nic.ts'
import { isMissing } from '../support/packages.ts'
import { call } from '../support/packets.ts'
import type { CniResult } from '../support/runtime.ts'
import {
  answered,
  ask,
  attachMacvlan,
  dropped,
  LAN,
  routeGet,
  rules,
  service,
  stranger,
  strict,
  unanswered,
} from '../support/source-routing.ts'
import { add, check, del } from '../support/verbs.ts'

afterEach(removeNamespaces)

const SOURCE = { sourceRouting: true }
const BOTH = [4, 6] as const
const addressesOf = (of: Readonly<Record<4 | 6, string>>) => BOTH.map((family) => of[family])

/** A pod whose default is by the VPC's NIC, Calico's having the routes to the underlay. */
async function attached(pod: Site, keys: object, ofVpc: object = AUTO) {
  const eth0 = await attachCalico(pod)
  const config = calicoConfig(eth0, keys)
  const result = await add(eth0, config)
  const net1 = await attachOvn(pod)
  await add(net1, ovnConfig(net1, ofVpc))
  return { eth0, net1, config, checked: { ...config, prevResult: result } }
}

describe.skipIf(isMissing({ nft: 'nftables' }, 'the packet filter of the routers'))(
  'a client whose address is in no route, behind routers that track connections',
  () => {
    test('is answered by Calico’s NIC with sourceRouting, and not without', async () => {
      await using pod = await site()
      const client = await stranger(pod)
      const { eth0, config } = await attached(pod, {})
      await strict(pod)
      await using _ = await service(pod.netns, ...addressesOf(POD))
      expect(await ask(client, ...addressesOf(POD))).toEqual(unanswered(...addressesOf(POD)))
      // The pod's own filter by reverse path is for IPv4 only. The answer by IPv6 took the wrong way, and was dropped there.
      const lost = await dropped(pod.router)
      expect(lost).toBeGreaterThan(0)

      const result = await add(eth0, { ...config, ...SOURCE })
      await check(eth0, { ...config, ...SOURCE, prevResult: result })
      expect(await ask(client, ...addressesOf(POD))).toEqual(answered(client, ...addressesOf(POD)))
      expect(await dropped(pod.router)).toBe(lost)
    })

    test.each([
      ['IPv4', 4],
      ['IPv6', 6],
    ] as const)('is answered in a pod that has %s only', async (_, family) => {
      await using pod = await site({ families: [family] })
      const client = await stranger(pod)
      await attached(pod, SOURCE)
      await strict(pod)
      await using __ = await service(pod.netns, POD[family])
      expect(await ask(client, POD[family])).toEqual(answered(client, POD[family]))
    })

    test('is answered by a macvlan NIC with sourceRouting, and not without; a neighbour is answered directly', async () => {
      await using pod = await site()
      await attached(pod, {})
      const net2 = await attachMacvlan(pod)
      const { client, neighbour, result: prevResult } = net2
      const own = addressesOf(LAN.pod)
      await strict(pod)
      await using _ = await service(pod.netns, ...own)
      await add(net2, { prevResult })
      expect(await ask(client, ...own)).toEqual(unanswered(...own))
      expect(await ask(neighbour, ...own)).toEqual(answered(neighbour, ...own))

      const result = await add(net2, { ...SOURCE, prevResult })
      await check(net2, { ...SOURCE, prevResult: result })
      expect(await ask(client, ...own)).toEqual(answered(client, ...own))
      expect(await ask(neighbour, ...own)).toEqual(answered(neighbour, ...own))
      expect((await routeGet(pod.netns, addressesOf(LAN.neighbour), LAN.pod)).join('\n')).not.toContain(' via ')
    })

    const ORDERS = {
      'Calico’s NIC first': async (calls: Calls) => [await calls.calico(), await calls.macvlan()],
      'the macvlan NIC first': async (calls: Calls) => [await calls.macvlan(), await calls.calico()].reverse(),
      'both at once': async (calls: Calls) => Promise.all([calls.calico(), calls.macvlan()]),
    }
    test.each(Object.entries(ORDERS))('is answered by two NICs, each with sourceRouting: %s', async (_, inOrder) => {
      await using pod = await site()
      const client = await stranger(pod)
      const eth0 = await attachCalico(pod)
      const net2 = await attachMacvlan(pod)
      const ofCalico = calicoConfig(eth0, SOURCE)
      const ofMacvlan = { ...SOURCE, prevResult: net2.result }
      const [first, second] = await inOrder({
        calico: () => add(eth0, ofCalico),
        macvlan: () => add(net2, ofMacvlan),
      })
      const net1 = await attachOvn(pod)
      await add(net1, ovnConfig(net1, AUTO))
      await strict(pod)
      const [calicos, macvlans] = [addressesOf(POD), addressesOf(LAN.pod)]
      await using __ = await service(pod.netns, ...calicos, ...macvlans)

      expect(await ask(client, ...calicos)).toEqual(answered(client, ...calicos))
      expect(await ask(net2.client, ...macvlans)).toEqual(answered(net2.client, ...macvlans))
      await check(eth0, { ...ofCalico, prevResult: first })
      await check(net2, { ...ofMacvlan, prevResult: second })

      // Without the one, the other still answers.
      await del(eth0, { ...ofCalico, prevResult: first })
      expect(await ask(client, ...calicos)).toEqual(unanswered(...calicos))
      expect(await ask(net2.client, ...macvlans)).toEqual(answered(net2.client, ...macvlans))
      expect((await rules(pod.netns)).map((rule) => rule.replace(/ lookup .*/, ''))).toEqual(
        macvlans.map((address) => `14200: from ${address}`),
      )
    })

    test('is answered by all addresses of a NIC', async () => {
      await using pod = await site()
      const client = await stranger(pod)
      const eth0 = await attachCalico(pod)
      const more = ['10.199.3.154', 'fd00:10:199::154']
      await configure(pod.netns, 'addr add 10.199.3.154/32 dev eth0\naddr add fd00:10:199::154/128 dev eth0 nodad')
      await configure(
        pod.node,
        `route add 10.199.3.154/32 dev ${HOST_VETH} scope link\nroute add fd00:10:199::154/128 dev ${HOST_VETH}`,
      )
      await add(eth0, calicoConfig(eth0, SOURCE))
      const net1 = await attachOvn(pod)
      await add(net1, ovnConfig(net1, AUTO))
      await strict(pod)
      const all = [...addressesOf(POD), ...more]
      await using _ = await service(pod.netns, ...all)
      expect(await ask(client, ...all)).toEqual(answered(client, ...all))
    })

    const DEFAULTS: Record<string, object> = {
      'removes the default': { defaultRoute: 'remove' },
      'demotes it': { defaultRoute: 'demote' },
      'demotes that of IPv6 only': { defaultRoute: { ipv4: 'remove', ipv6: 'demote' } },
      'removes that of IPv6 only': { defaultRoute: { ipv4: 'demote', ipv6: 'remove' } },
      'has on-link routes': { routes: ['10.50.0.0/16', 'fd00:10:50::/64'].map((dst) => ({ dst, scope: 'link' })) },
    }
    test.each(Object.entries(DEFAULTS))('is answered where the configuration %s', async (_, keys) => {
      await using pod = await site()
      const client = await stranger(pod)
      const { eth0, checked } = await attached(pod, { ...SOURCE, ...keys }, { defaultRoute: 'keep' })
      await strict(pod)
      await using __ = await service(pod.netns, ...addressesOf(POD))
      expect(await ask(client, ...addressesOf(POD))).toEqual(answered(client, ...addressesOf(POD)))
      expect(await call(pod.netns, INTERNET[4], INTERNET[6])).toEqual({
        [INTERNET[4]]: `internet sees ${OVN_POD[4]}`,
        [INTERNET[6]]: `internet sees ${OVN_POD[6]}`,
      })
      await check(eth0, checked)
    })

    test('is answered by the VPC’s NIC, whose default is not the pod’s, since Calico’s stays', async () => {
      await using pod = await site()
      const { internet } = pod
      const eth0 = await attachCalico(pod)
      await add(eth0, calicoConfig(eth0, { defaultRoute: 'keep' }))
      const net1 = await attachOvn(pod, { defaultRoute: false })
      const config = ovnConfig(net1, { ...SOURCE, defaultRoute: 'keep' })
      const prevResult = {
        ...net1.result,
        ips: net1.result.ips?.map((ip) => ({ ...ip, gateway: ROUTER[ip.address.includes(':') ? 6 : 4] })),
      }
      const client = { netns: internet, address: INTERNET }
      const own = addressesOf(OVN_POD)
      await strict(pod)
      await using _ = await service(pod.netns, ...own)
      expect(await ask(client, ...own)).toEqual(unanswered(...own))
      const result = await add(net1, { ...config, prevResult })
      await check(net1, { ...config, prevResult: result })
      expect(await ask(client, ...own)).toEqual(answered(client, ...own))
      expect(await defaults(pod.netns)).toEqual(calicoDefaults([4, 6]))
    })
  },
)

interface Calls {
  readonly calico: () => Promise<CniResult>
  readonly macvlan: () => Promise<CniResult>
}
