import { afterEach, describe, expect, test } from 'vitest'
import { INTERNET, UNDERLAY } from '../support/calico.ts'
import { AUTO, calicoConfig, DEMOTE, everywhere, internet, ovnConfig, ovnDefaults } from '../support/chains.ts'
import { macvlanNic } from '../support/more-nics.ts'
import { changes, configure, inNetns, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, defaults, ovnPaths, paths, separatePaths, site } from '../support/ovn-nic.ts'
import { environment, run } from '../support/runtime.ts'
import { add, check, failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

describe('a macvlan NIC with a default of its own', () => {
  test('keeps it beside the restored one, and the operator is told', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    await macvlanNic(pod, 'net2', 'add default via 172.16.3.2 dev net2 metric 50')
    const eth0 = await attachCalico(pod)

    const { exitCode, stderr } = await run(environment('ADD', eth0), calicoConfig(eth0, AUTO))
    expect(exitCode).toBe(0)
    expect(
      stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      expect.objectContaining({
        level: 'warn',
        warning: 'the pod keeps another default route: 0.0.0.0/0 via 172.16.3.2 dev net2 proto 3 metric 50',
      }),
    ])
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.1 dev net1 proto 145',
      'default via 172.16.3.2 dev net2 metric 50',
      'default via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
    ])
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separatePaths([4, 6]))
  })

  test('makes way for Calico too, where its chain demotes it', async () => {
    await using pod = await site({ families: [4] })
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    await macvlanNic(pod, 'net2', 'add default via 172.16.3.2 dev net2')
    const net2 = { ...pod, ifname: 'net2' }
    const ips = [{ interface: 0, address: '172.16.3.101/24', gateway: '172.16.3.2' }]
    const prevResult = { cniVersion: '1.0.0', interfaces: [{ name: 'net2', sandbox: pod.path }], ips }
    await add(net2, { ...DEMOTE, prevResult })
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.1 dev net1 proto 144 metric 4026531840',
      expect.stringMatching(/^default via 172\.16\.3\.2 dev net2 proto 144 metric 40\d+$/),
    ])

    const eth0 = await attachCalico(pod)
    const { exitCode, stdout } = await run(environment('ADD', eth0), calicoConfig(eth0, AUTO))
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching('^{"cniVersion":"1.0.0"') })
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.1 dev net1 proto 145',
      expect.stringMatching(/^default via 172\.16\.3\.2 dev net2 proto 144 metric 40\d+$/),
    ])
    expect(await paths(pod.netns, ...everywhere([4]))).toEqual(separatePaths([4]))
  })

  test('of the same metric is a refusal, and nothing is touched', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await macvlanNic(pod, 'net2', 'replace default via 172.16.3.2 dev net2')
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = failure(await run(environment('ADD', eth0), calicoConfig(eth0, AUTO)))
      expect({ code, msg }).toEqual({
        code: 7,
        msg: "ovnGateway: the pod has another default route with the same metric: 0.0.0.0/0 via 172.16.3.2 dev net2 proto 3; remove it by x-calico-route in the network of net2, which v1.multus-cni.io/default-network must name if it is the pod's first",
      })
    })
    expect(after).toBe(before)
  })

  test('takes what Calico’s NIC gives up (a direct underlay NIC, addressed by kube-ovn’s IPAM)', async () => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachCalico(pod)
    await add(eth0, calicoConfig(eth0))
    await macvlanNic(pod, 'net1', 'add default via 172.16.3.2 dev net1')
    expect(await defaults(pod.netns)).toEqual(['default via 172.16.3.2 dev net1'])
    expect(await paths(pod.netns, UNDERLAY[4], INTERNET[4])).toEqual({
      [UNDERLAY[4]]: 'underlay sees 10.199.3.153, 5 packets by eth0',
      [INTERNET[4]]: 'underlay sees 172.16.3.101, 5 packets by net1',
    })
  })
})

describe('the pod of a VPC’s NAT gateway: eth0 in the VPC, net1 a macvlan on the outside', () => {
  const VPC = { routes: [{ dst: '10.0.0.0/16' }] }
  const OUTSIDE = { ovnGateway: { ipv4: '172.16.3.2', dev: 'net1' } }

  test.each([
    { title: 'eth0’s first', words: 'append default via 172.16.3.2 dev net1' },
    { title: 'net1’s first', words: 'prepend default via 172.16.3.2 dev net1' },
    { title: 'of two metrics', words: 'add default via 172.16.3.2 dev net1 metric 10' },
  ])('of its two defaults, $title, only net1’s stays', async ({ words }) => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachOvn(pod, { ifname: 'eth0' })
    await macvlanNic(pod, 'net1', words)
    const result = await add(eth0, ovnConfig(eth0, VPC))
    expect(await defaults(pod.netns)).toEqual([expect.stringMatching(/^default via 172\.16\.3\.2 dev net1\b/)])
    expect(await routes(pod.netns)).toEqual(
      expect.arrayContaining([
        '10.0.0.0/16 via 10.0.1.1 dev eth0 proto 142',
        '10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.11',
      ]),
    )
    await check(eth0, { ...ovnConfig(eth0, VPC), prevResult: result })
    expect(await paths(pod.netns, INTERNET[4], '10.0.9.9')).toMatchObject({
      [INTERNET[4]]: 'underlay sees 172.16.3.101, 5 packets by net1',
      '10.0.9.9': expect.stringContaining('5 packets by eth0'),
    })
  })

  test.each([
    { title: 'eth0’s first', words: 'append default via 172.16.3.2 dev net1' },
    { title: 'net1’s first', words: 'prepend default via 172.16.3.2 dev net1' },
    { title: 'only eth0’s', words: undefined },
  ])('named by address there is exactly one, whatever there was before: $title', async ({ words }) => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachOvn(pod, { ifname: 'eth0' })
    await macvlanNic(pod, 'net1', words)
    const config = ovnConfig(eth0, { ...VPC, ...OUTSIDE })
    const result = await add(eth0, config)
    expect(await defaults(pod.netns)).toEqual([expect.stringMatching(/^default via 172\.16\.3\.2 dev net1\b/)])
    await add(eth0, config)
    await check(eth0, { ...config, prevResult: result })
    expect(await defaults(pod.netns)).toHaveLength(1)
  })
})

describe('a ptp NIC that only leads to the node’s Services', () => {
  test('has no default, and the NIC beside it keeps its own', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await configure(
      pod.node,
      `
      link add veth0 type veth peer name eth0 netns ${pod.netns}
      link set veth0 up
      addr add 10.1.0.1/32 dev veth0
      route add 10.1.0.5/32 dev veth0
      addr add 172.20.0.10/32 dev lo`,
    )
    // ptp's wiring, with a default of a metric that has room beside the other NIC's
    await configure(
      pod.netns,
      `
      link set eth0 up
      addr add 10.1.0.5/32 dev eth0
      route add 10.1.0.1/32 dev eth0 scope link src 10.1.0.5
      route add 10.1.0.0/24 via 10.1.0.1 dev eth0 src 10.1.0.5
      route add default via 10.1.0.1 dev eth0 metric 100`,
    )
    const eth0 = { ...pod, ifname: 'eth0' }
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'veth0' }, { name: 'eth0', sandbox: pod.path }],
      ips: [{ interface: 1, address: '10.1.0.5/24', gateway: '10.1.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
    }
    const result = await add(eth0, { routes: [{ dst: '172.20.0.0/16' }], prevResult })
    expect(result.routes).toEqual([{ dst: '172.20.0.0/16', gw: '10.1.0.1' }])
    expect(await defaults(pod.netns)).toEqual(ovnDefaults([4, 6]))
    const services = await inNetns(pod.netns, 'ip', ['route', 'get', '172.20.0.10'])
    expect(services).toContain('172.20.0.10 via 10.1.0.1 dev eth0 src 10.1.0.5')
    expect(await paths(pod.netns, '172.20.0.10', ...internet([4, 6]))).toEqual({
      '172.20.0.10': 'ECONNREFUSED, 5 packets by eth0', // the node answers, that no Service is there
      ...ovnPaths([4, 6]),
    })
    expect(net1.ifname).toBe('net1')
  })
})
