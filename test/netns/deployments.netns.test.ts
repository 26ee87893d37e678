import { afterEach, describe, expect, test } from 'vitest'
import { INTERNET, UNDERLAY } from '../support/calico.ts'
import { everywhere, exampleConfig } from '../support/chains.ts'
import { oneIn } from '../support/examples.ts'
import { API_SERVER, defaultSubnetNic, macvlanNic, ptpNic, SERVICES } from '../support/more-nics.ts'
import { configure, inNetns, linkLocalReady, removeNamespaces, routes } from '../support/netns.ts'
import {
  attachCalico,
  attachOvn,
  defaults,
  OVN_POD,
  paths,
  type Site,
  separatePaths,
  site,
} from '../support/ovn-nic.ts'
import { call } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { add, check } from '../support/verbs.ts'

/** Deployments of docs/deployments.md by their packets, with the configurations of conf-examples/ as they are. */

afterEach(removeNamespaces)

async function calicoBy(file: string, pod: Site): Promise<void> {
  const eth0 = await attachCalico(pod)
  await add(eth0, exampleConfig(file, calicoResult(eth0)))
}

test('Canal first, and a NIC of Kube-OVN in non-primary mode: the underlay by eth0, everything else by the VPC', async () => {
  const { metadata } = oneIn('canal-underlay.yaml', 'Pod')
  expect(metadata.annotations).toMatchObject({
    'v1.multus-cni.io/default-network': 'kube-system/canal-underlay',
    'k8s.v1.cni.cncf.io/networks': 'tenant/vpc-net',
    'vpc-net.tenant.ovn.kubernetes.io/default_route': 'true',
  })
  await using pod = await site()
  await calicoBy('canal-underlay.yaml', pod)
  const net1 = await attachOvn(pod)
  await add(net1, exampleConfig('kube-ovn-vpc.yaml', net1.result))
  expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separatePaths([4, 6]))
})

describe('the NAT gateway of a VPC where Kube-OVN is not the cluster’s network', () => {
  const { metadata, spec } = oneIn('vpc-nat-gateway-non-primary.yaml', 'VpcNatGateway')
  const ONLY_OUTSIDE = [expect.stringMatching(/^default via 172\.16\.3\.2 dev net2\b/)]

  /** net1, as Kube-OVN makes it: its routes to the Services and to the VPC's other subnets, which take the place of others. */
  async function vpcNic(pod: Site): Promise<void> {
    await configure(pod.router, `link add gateway type veth peer name net1 netns ${pod.netns}\nlink set gateway up`)
    await configure(
      pod.netns,
      `
      sysctl net.ipv4.ip_forward=1
      link set net1 up
      addr add ${spec.lanIp}/24 dev net1
      route replace 172.20.0.0/16 via 10.0.2.1 dev net1
      route replace 10.0.1.0/24 via 10.0.2.1 dev net1`,
    )
    // The router of the VPC, with a tenant's address, sends everything else to the gateway.
    await configure(
      pod.router,
      `
      link set wan down
      addr add 10.0.2.1/24 dev gateway
      addr add ${OVN_POD[4]}/32 dev lo
      route replace default via ${spec.lanIp} dev gateway src ${OVN_POD[4]}`,
    )
    await linkLocalReady(pod.netns, 'net1')
  }

  /** net2. The gateway's SNAT is left out: the outside knows the way back to the VPC. */
  const outerNic = async (pod: Site, words: string | undefined) => {
    await macvlanNic(pod, 'net2', words)
    await configure(pod.underlay, 'route add 10.0.0.0/16 via 172.16.3.101 dev net172')
  }

  /** Before macvlan makes a default route, Kube-OVN's IPAM removes all that the pod has: deleteDefaultRoutes in its daemon. */
  const removeDefaults = (pod: Site) =>
    inNetns(pod.netns, 'sh', ['-c', 'ip -4 route flush exact default; ip -6 route flush exact default'])

  const expectSeparate = async (pod: Site) => {
    expect(await defaults(pod.netns)).toEqual(ONLY_OUTSIDE)
    expect(await paths(pod.netns, ...Object.values(UNDERLAY), INTERNET[4], OVN_POD[4])).toEqual({
      [UNDERLAY[4]]: 'underlay sees 10.199.3.153, 5 packets by eth0',
      [UNDERLAY[6]]: 'underlay sees fd00:10:199::153, 5 packets by eth0',
      [INTERNET[4]]: 'underlay sees 172.16.3.101, 5 packets by net2',
      [OVN_POD[4]]: 'ECONNREFUSED, 5 packets by net1',
    })
    expect(await call(pod.router, INTERNET[4])).toEqual({ [INTERNET[4]]: `underlay sees ${OVN_POD[4]}` })
  }

  test('has eth0 for pods and nodes, and one default route, on its outer NIC', async () => {
    expect(metadata.annotations).toEqual({ 'k8s.v1.cni.cncf.io/networks': 'kube-system/nat-gateway-vpc' })
    expect(spec.annotations).toEqual({ 'v1.multus-cni.io/default-network': 'kube-system/calico-underlay' })
    await using pod = await site()
    await calicoBy('calico-underlay.yaml', pod)
    await vpcNic(pod)
    await removeDefaults(pod)
    await outerNic(pod, 'append default via 172.16.3.2 dev net2')
    await expectSeparate(pod)
  })

  test('without an address outside has no default route, until the first EIP brings one', async () => {
    await using pod = await site()
    await calicoBy('canal-underlay.yaml', pod)
    await vpcNic(pod)
    await outerNic(pod, undefined)
    expect(await defaults(pod.netns)).toEqual([])
    await configure(pod.netns, 'route replace default via 172.16.3.2 dev net2 onlink')
    await expectSeparate(pod)
  })

  test('without this plugin sends everything by eth0 before the first EIP, and nothing by eth0 afterwards', async () => {
    await using pod = await site()
    await attachCalico(pod)
    await vpcNic(pod)
    await outerNic(pod, undefined)
    expect(await paths(pod.netns, INTERNET[4])).toEqual({
      [INTERNET[4]]: 'underlay sees 10.199.3.153, 5 packets by eth0',
    })
    await removeDefaults(pod)
    await configure(pod.netns, 'route append default via 172.16.3.2 dev net2')
    expect(await paths(pod.netns, UNDERLAY[4])).toEqual({
      [UNDERLAY[4]]: 'underlay sees 172.16.3.101, 5 packets by net2',
    })
  })

  test('has Kube-OVN’s route to the Services, also where ours was; two halves stay on eth0', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    const dsts = ['172.20.0.0/16', '172.20.0.0/17', '172.20.128.0/17']
    await add(eth0, { routes: dsts.map((dst) => ({ dst })), prevResult: calicoResult(eth0) })
    await vpcNic(pod)
    expect((await routes(pod.netns)).filter((route) => route.startsWith('172.20.'))).toEqual([
      '172.20.0.0/16 via 10.0.2.1 dev net1',
      '172.20.0.0/17 via 169.254.1.1 dev eth0 proto 142',
      '172.20.128.0/17 via 169.254.1.1 dev eth0 proto 142',
    ])
  })
})

describe('a vpc-dns pod', () => {
  const everything = [API_SERVER, ...Object.values(SERVICES), ...everywhere([4, 6])]
  const BY_VPC = {
    [UNDERLAY[4]]: `internet sees ${OVN_POD[4]}, 5 packets by eth0`,
    [UNDERLAY[6]]: `internet sees ${OVN_POD[6]}, 5 packets by eth0`,
    [INTERNET[4]]: `internet sees ${OVN_POD[4]}, 5 packets by eth0`,
    [INTERNET[6]]: `internet sees ${OVN_POD[6]}, 5 packets by eth0`,
  }

  test('reaches Services and the API server by net1, and everything else by eth0', async () => {
    await using pod = await site()
    await attachOvn(pod, { ifname: 'eth0' })
    const net1 = await defaultSubnetNic(pod, 'net1')
    // Kube-OVN itself: the API server, and that is all
    expect(await paths(pod.netns, API_SERVER, SERVICES[4])).toEqual({
      [API_SERVER]: 'underlay sees 10.16.0.20, 5 packets by net1',
      [SERVICES[4]]: expect.stringMatching(/, 5 packets by eth0$/),
    })

    await add(net1, exampleConfig('vpc-dns.yaml', net1.result))
    expect(await paths(pod.netns, ...everything)).toEqual({
      [API_SERVER]: 'underlay sees 10.16.0.20, 5 packets by net1',
      [SERVICES[4]]: 'underlay sees 10.16.0.20, 5 packets by net1',
      [SERVICES[6]]: 'underlay sees fd00:10:16::20, 5 packets by net1',
      ...BY_VPC,
    })
  })
})

describe('ptp beside macvlan', () => {
  const SEPARATE = {
    [SERVICES[4]]: 'underlay sees 10.1.0.5, 5 packets by eth0',
    [SERVICES[6]]: 'underlay sees fd00:10:1::5, 5 packets by eth0',
    [INTERNET[4]]: 'underlay sees 172.16.3.101, 5 packets by net1',
    [INTERNET[6]]: 'underlay sees fd00:172:16:3::101, 5 packets by net1',
  }
  const macvlan = async (pod: Site) => {
    await macvlanNic(pod, 'net1', 'append default via 172.16.3.2 dev net1')
    await configure(
      pod.netns,
      'addr add fd00:172:16:3::101/64 dev net1 nodad\nroute append ::/0 via fd00:172:16:3::2 dev net1',
    )
    await linkLocalReady(pod.netns, 'net1')
  }

  test.each([
    { title: 'ptp first', macvlanFirst: false },
    { title: 'macvlan first, whose default routes are joined with those of ptp', macvlanFirst: true },
  ])('leads to the Services only, in both families: $title', async ({ macvlanFirst }) => {
    await using pod = await site()
    if (macvlanFirst) await macvlan(pod)
    const eth0 = await ptpNic(pod, 'eth0')
    await add(eth0, exampleConfig('ptp-services.conflist', eth0.result))
    if (!macvlanFirst) await macvlan(pod)
    expect(await defaults(pod.netns)).toEqual([
      'default via 172.16.3.2 dev net1',
      'default via fd00:172:16:3::2 dev net1 metric 1024',
    ])
    expect(await paths(pod.netns, ...Object.values(SERVICES), INTERNET[4], INTERNET[6])).toEqual(SEPARATE)
    await check(eth0, exampleConfig('ptp-services.conflist', { ...eth0.result, routes: [] }))
  })
})
