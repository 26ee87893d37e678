import { afterEach, describe, expect, test } from 'vitest'
import { type Family, INTERNET, UNDERLAY } from '../support/calico.ts'
import {
  AUTO,
  BEHIND_CALICO,
  calicoConfig,
  calicoDefaults,
  DEMOTE,
  demotedDefaults,
  everywhere,
  internet,
  ovnConfig,
  ovnDefaults,
} from '../support/chains.ts'
import { changes, configure, dump, removeNamespaces } from '../support/netns.ts'
import {
  attachCalico,
  attachOvn,
  defaults,
  detachCalico,
  detachOvn,
  ovnPaths,
  paths,
  type Site,
  separatePaths,
  site,
  watchDefaults,
} from '../support/ovn-nic.ts'
import { environment, run } from '../support/runtime.ts'
import { add, check, del, failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

test('how these tests are written: a pod, its two NICs, and where its packets go', async () => {
  // A site is a pod without NICs, the node and the router that they will lead to, and behind each a host that answers.
  await using pod = await site()

  // What Calico does in the pod, then our plugin as a runtime calls it. A configuration has the Result of its NIC as prevResult;
  // Calico's has routes to the underlay, and the default route goes since nothing says otherwise.
  const eth0 = await attachCalico(pod)
  await add(eth0, calicoConfig(eth0))
  expect(await defaults(pod.netns)).toEqual([])

  // The same of kube-ovn's NIC. AUTO and DEMOTE are keys that many tests need.
  const net1 = await attachOvn(pod)
  const config = ovnConfig(net1, AUTO)
  const result = await add(net1, config)
  await check(net1, { ...config, prevResult: result })

  // What the kernel has, as `ip route` words it, and what is short for it.
  expect(await defaults(pod.netns)).toEqual([
    'default via 10.0.1.1 dev net1',
    'default via fd00:10:0:1::1 dev net1 metric 1024',
  ])
  expect(ovnDefaults([4, 6])).toEqual(await defaults(pod.netns))

  // Where packets go: who answers, whom they see, and which NIC counted them. The hosts at the ends have each other's address, too.
  expect(await paths(pod.netns, UNDERLAY[4], INTERNET[4])).toEqual({
    '10.50.31.21': 'underlay sees 10.199.3.153, 5 packets by eth0',
    '203.0.113.10': 'internet sees 10.0.1.11, 5 packets by net1',
  })
  expect(separatePaths([4])).toEqual(await paths(pod.netns, ...everywhere([4])))

  // A NIC goes as it came: our plugin first, then the one that made it.
  await del(net1, { ...config, prevResult: result })
  await detachOvn(pod)
  expect(await paths(pod.netns, ...internet([4]))).toEqual({ '203.0.113.10': 'ENETUNREACH, no packets' })
})

const FAMILIES: { name: string; families: readonly Family[] }[] = [
  { name: 'IPv4', families: [4] },
  { name: 'IPv6', families: [6] },
  { name: 'dual stack', families: [4, 6] },
]
describe.each(FAMILIES)('Calico first, then the OVN NIC: $name', ({ families }) => {
  test('the default goes to the OVN NIC, whose own chain asks for it by address', async () => {
    await using pod = await site({ families })
    const eth0 = await attachCalico(pod)
    expect(await paths(pod.netns, ...internet(families))).not.toEqual(ovnPaths(families))
    await add(eth0, calicoConfig(eth0))
    expect(await defaults(pod.netns)).toEqual([])

    // As kube-ovn makes a NIC that is not the default one: without default route, and no gateway in the Result.
    const net1 = await attachOvn(pod, { defaultRoute: false })
    const gateway = {
      ...(families.includes(4) && { ipv4: '10.0.1.1' }),
      ...(families.includes(6) && { ipv6: 'fd00:10:0:1::1' }),
    }
    const config = ovnConfig(net1, { ovnGateway: gateway })
    const result = await add(net1, config)

    expect(await defaults(pod.netns)).toEqual(ovnDefaults(families, { proto: 143 }))
    expect(result.routes).toEqual(
      expect.arrayContaining(
        families.map((family) =>
          family === 4 ? { dst: '0.0.0.0/0', gw: '10.0.1.1' } : { dst: '::/0', gw: 'fd00:10:0:1::1' },
        ),
      ),
    )
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families))

    const before = await dump(pod.netns)
    expect(await add(net1, config)).toEqual(result)
    await add(eth0, calicoConfig(eth0))
    await check(net1, { ...config, prevResult: result })
    expect(await dump(pod.netns)).toBe(before)

    await del(net1, { ...config, prevResult: result })
    expect(await defaults(pod.netns)).toEqual([])
    await detachOvn(pod)
    expect(await paths(pod.netns, ...everywhere(families))).toEqual({
      ...separatePaths(families),
      ...Object.fromEntries(internet(families).map((address) => [address, 'ENETUNREACH, no packets'])),
    })

    // and once more on the pod that lives
    const again = await attachOvn(pod, { defaultRoute: false })
    await add(again, ovnConfig(again, { ovnGateway: gateway }))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families))
  })

  test('"auto" takes over the default that kube-ovn made', async () => {
    await using pod = await site({ families })
    const eth0 = await attachCalico(pod)
    await add(eth0, calicoConfig(eth0))
    const net1 = await attachOvn(pod)
    const result = await add(net1, ovnConfig(net1, AUTO))
    expect(await defaults(pod.netns)).toEqual(ovnDefaults(families))
    await check(net1, { ...ovnConfig(net1, AUTO), prevResult: result })
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families))

    await del(eth0, calicoConfig(eth0))
    await detachCalico(pod)
    expect(await defaults(pod.netns)).toEqual(ovnDefaults(families))
    expect(await paths(pod.netns, ...internet(families))).toEqual(ovnPaths(families))
  })
})

const NAMES = [
  { calico: 'eth0', ovn: 'net1' },
  { calico: 'net1', ovn: 'eth0' },
]
const ORDERS = FAMILIES.flatMap((row) => NAMES.map((names) => ({ ...row, ...names })))

describe.each(ORDERS)('the OVN NIC $ovn first, then Calico’s $calico: $name', ({ families, calico, ovn }) => {
  test('without demotion Calico does not get in', async () => {
    await using pod = await site({ families })
    await attachOvn(pod, { ifname: ovn })
    const before = await dump(pod.netns)
    await expect(attachCalico(pod, calico)).rejects.toThrow('File exists')
    expect(await dump(pod.netns)).toBe(before)
  })

  test('with it Calico does, and the default is restored with its own metric', async () => {
    await using pod = await site({ families })
    const second = await attachOvn(pod, { ifname: ovn })
    const gaps = await watchDefaults(pod.netns)
    const ofSecond = ovnConfig(second, DEMOTE)
    const parked = await add(second, ofSecond)
    expect(await defaults(pod.netns)).toEqual(demotedDefaults(families, ovn))
    // If nothing else ever runs, the pod is none the worse.
    expect(await paths(pod.netns, ...internet(families))).toEqual(ovnPaths(families, ovn))
    expect(await add(second, ofSecond)).toEqual(parked)
    await check(second, { ...ofSecond, prevResult: parked })
    expect(await defaults(pod.netns)).toEqual(demotedDefaults(families, ovn))

    const first = await attachCalico(pod, calico)
    const ofFirst = calicoConfig(first, AUTO)
    const result = await add(first, ofFirst)
    expect(await gaps()).toEqual([])

    expect(await defaults(pod.netns)).toEqual(ovnDefaults(families, { proto: 145, nic: ovn }))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families, calico, ovn))
    expect(result.routes?.map(({ dst }) => dst)).toEqual(families.flatMap((family) => BEHIND_CALICO[family]))

    // Each of the two, again, finds nothing to do.
    const before = await dump(pod.netns)
    expect(await add(first, ofFirst)).toEqual(result)
    await add(second, ofSecond)
    await check(first, { ...ofFirst, prevResult: result })
    await check(second, { ...ofSecond, prevResult: parked })
    expect(await dump(pod.netns)).toBe(before)
  })

  test('Calico’s NIC leaves the living pod, and comes back', async () => {
    await using pod = await site({ families })
    const second = await attachOvn(pod, { ifname: ovn })
    await add(second, ovnConfig(second, DEMOTE))
    const first = await attachCalico(pod, calico)
    await add(first, calicoConfig(first, AUTO))

    const gaps = await watchDefaults(pod.netns)
    await del(first, calicoConfig(first, AUTO))
    await detachCalico(pod)
    expect(await gaps()).toEqual([])
    expect(await defaults(pod.netns)).toHaveLength(families.length)
    expect(await paths(pod.netns, ...internet(families))).toEqual(ovnPaths(families, ovn))

    const again = await attachCalico(pod, calico)
    await add(again, calicoConfig(again, AUTO))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families, calico, ovn))
  })

  test('the OVN NIC leaves the living pod, and comes back', async () => {
    await using pod = await site({ families })
    const second = await attachOvn(pod, { ifname: ovn })
    await add(second, ovnConfig(second, DEMOTE))
    const first = await attachCalico(pod, calico)
    await add(first, calicoConfig(first, AUTO))

    await del(second, ovnConfig(second, DEMOTE))
    await detachOvn(pod)
    expect(await defaults(pod.netns)).toEqual([])
    expect(await paths(pod.netns, ...everywhere(families))).toEqual({
      ...separatePaths(families, calico, ovn),
      ...Object.fromEntries(internet(families).map((address) => [address, 'ENETUNREACH, no packets'])),
    })

    // Calico's NIC is there: nothing has to make way any more.
    const again = await attachOvn(pod, { ifname: ovn })
    await add(again, ovnConfig(again, DEMOTE))
    expect(await defaults(pod.netns)).toEqual(ovnDefaults(families, { nic: ovn, proto: 145 }))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families, calico, ovn))

    // And it will make way, should Calico's NIC leave and come back.
    await del(first, calicoConfig(first, AUTO))
    await detachCalico(pod)
    const back = await attachCalico(pod, calico)
    await add(back, calicoConfig(back, AUTO))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separatePaths(families, calico, ovn))
  })
})

describe('a chain that ends half-way, on a pod that lives on', () => {
  /** The OVN NIC with its default demoted, and Calico's NIC, after which our plugin has not run. */
  const halfWay = async (pod: Site) => {
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    return { net1, eth0: await attachCalico(pod) }
  }

  test('DEL of Calico’s NIC restores what was demoted for it', async () => {
    await using pod = await site()
    const { eth0 } = await halfWay(pod)
    await del(eth0, calicoConfig(eth0, AUTO))
    await detachCalico(pod)
    expect(await paths(pod.netns, ...internet([4, 6]))).toEqual(ovnPaths([4, 6]))
  })

  test('DEL of the OVN NIC leaves Calico’s default alone', async () => {
    await using pod = await site()
    const { net1 } = await halfWay(pod)
    await del(net1, ovnConfig(net1, DEMOTE))
    await detachOvn(pod)
    expect(await defaults(pod.netns)).toEqual(calicoDefaults([4, 6]))
  })

  test('DEL of the OVN NIC alone, before Calico ever came, restores its default', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    await del(net1, ovnConfig(net1, DEMOTE))
    expect(await defaults(pod.netns)).toEqual(ovnDefaults([4, 6]))
  })

  test('an ADD that is refused leaves the demoted default where it is', async () => {
    await using pod = await site()
    const { eth0 } = await halfWay(pod)
    const { before, after } = await changes(pod.netns, async () => {
      const refused = calicoConfig(eth0, { ...AUTO, routes: [{ dst: '10.50.0.0/16', gw: '192.0.2.1' }] })
      expect(failure(await run(environment('ADD', eth0), refused)).code).toBe(100)
    })
    expect(after).toBe(before)
    await add(eth0, calicoConfig(eth0, AUTO))
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separatePaths([4, 6]))
  })
})

describe('the kernel that the plan relies on', () => {
  const STANDING = {
    'through a gateway of another NIC': 'route add ::/0 via fe80::1 dev eth0',
    'that is on-link on another NIC': 'route add ::/0 dev eth0',
    'learnt from a router advertisement': 'route add ::/0 via fe80::1 dev eth0 proto ra expires 600',
    'with attributes of its own': 'route add ::/0 via fe80::1 dev eth0 mtu 1400 src fd00:10:199::153',
  }
  test.each(Object.entries(STANDING))('replaces an IPv6 default %s, and leaves one', async (_, line) => {
    await using pod = await site()
    await attachCalico(pod)
    await attachOvn(pod, { defaultRoute: false })
    await configure(pod.netns, `route del ::/0\n${line}\nroute replace ::/0 via fd00:10:0:1::1 dev net1 proto 145`)
    expect((await defaults(pod.netns)).slice(1)).toEqual(ovnDefaults([6], { proto: 145 }))
  })

  test('refuses a second default of the same metric on another NIC, and takes one of another metric', async () => {
    await using pod = await site()
    await attachOvn(pod)
    await attachCalico(pod).catch(() => {})
    const more = (script: string) =>
      configure(pod.netns, `link add d0 type veth peer name d1\nlink set d0 up\n${script}`)
    await expect(more('route add default dev d0')).rejects.toThrow('File exists')
    await configure(pod.netns, 'link del d0')
    await expect(more('route add ::/0 dev d0')).rejects.toThrow('File exists')
    await configure(pod.netns, 'link del d0')
    await more('route add default dev d0 metric 1\nroute add ::/0 dev d0 metric 1025')
    expect(await defaults(pod.netns)).toHaveLength(4)
  })
})

describe('a subnet that is on the underlay as well (u2o)', () => {
  const U2O = { 4: '10.0.1.254', 6: 'fd00:10:0:1::fe' }

  test('auto trusts the gateway that the kernel has, not the one that was reported', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await add(eth0, calicoConfig(eth0))
    const net1 = await attachOvn(pod, { gateway: U2O })
    expect(net1.result.ips?.map(({ gateway }) => gateway)).toEqual(['10.0.1.1', 'fd00:10:0:1::1'])
    const result = await add(net1, ovnConfig(net1, AUTO))
    const expected = ['default via 10.0.1.254 dev net1', 'default via fd00:10:0:1::fe dev net1 metric 1024']
    expect(await defaults(pod.netns)).toEqual(expected)
    expect(result.routes).toEqual(
      expect.arrayContaining([
        { dst: '0.0.0.0/0', gw: '10.0.1.254' },
        { dst: '::/0', gw: 'fd00:10:0:1::fe' },
      ]),
    )
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separatePaths([4, 6]))
  })

  test('demotion and restoration keep it', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod, { gateway: U2O })
    await add(net1, ovnConfig(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await add(eth0, calicoConfig(eth0, AUTO))
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.254 dev net1 proto 145',
      'default via fd00:10:0:1::fe dev net1 proto 145 metric 1024',
    ])
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separatePaths([4, 6]))
  })
})

test('demote does nothing where there is no default', async () => {
  await using pod = await site()
  const net1 = await attachOvn(pod, { defaultRoute: false })
  const { before, after } = await changes(pod.netns, async () => {
    expect(await add(net1, ovnConfig(net1, DEMOTE))).toEqual(net1.result)
  })
  expect(after).toBe(before)
})
