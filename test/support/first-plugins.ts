/**
 * Pods whose first NIC is made by one of the reference plugins, wired as these do it, with the Result they print.
 * `far` is where packets arrive that leave the pod by its gateway: the node itself, or for macvlan a host beyond it.
 * @see https://github.com/containernetworking/plugins/tree/main/plugins/main
 */
import { INTERNET, type Pod, UNDERLAY } from './calico.ts'
import { configure, createNamespaces, linkLocalReady, netnsPath } from './netns.ts'
import type { CniResult, CniVersion } from './runtime.ts'

export type FirstPlugin = 'ptp' | 'bridge' | 'macvlan'

export interface FirstPluginPod extends Pod {
  readonly far: string
  readonly result: (cniVersion?: CniVersion) => CniResult
}

const MAC = '0a:58:0a:16:00:05'
const GATEWAY = { 4: '10.22.0.1', 6: 'fd00:10:22::1' } as const
const ADDRESS = { 4: '10.22.0.5/16', 6: 'fd00:10:22::5/64' } as const
const ELSEWHERE = [...Object.values(UNDERLAY), ...Object.values(INTERNET)]
  .map((address) => `addr add ${address} dev lo`)
  .join('\n')

export async function firstPluginPod(plugin: FirstPlugin): Promise<FirstPluginPod> {
  const { node, far, pod } = await createNamespaces('node', 'far', 'pod')
  const start = 'sysctl net.ipv6.conf.default.accept_dad=0\nlink set lo up'
  await Promise.all([node, far, pod].map((netns) => configure(netns, start)))
  const gatewayDevice = await WIRE[plugin](node, far, pod)
  const farEnd = plugin === 'macvlan' ? far : node
  await configure(farEnd, ELSEWHERE)
  await Promise.all([linkLocalReady(pod, 'eth0'), linkLocalReady(farEnd, gatewayDevice)])

  const path = netnsPath(pod)
  const result = (cniVersion: CniVersion = '1.0.0'): CniResult => {
    const hostSide = HOST_SIDE[plugin]
    const versioned = cniVersion.startsWith('0.')
    return {
      cniVersion,
      interfaces: [...hostSide, { name: 'eth0', mac: MAC, sandbox: path }],
      ips: ([4, 6] as const).map((family) => ({
        ...(versioned ? { version: `${family}` } : {}),
        interface: hostSide.length,
        address: ADDRESS[family],
        gateway: GATEWAY[family],
      })),
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      dns: {},
    }
  }
  return { netns: pod, path, ifname: 'eth0', families: [4, 6], far: farEnd, result }
}

const HOST_SIDE: Record<FirstPlugin, { name: string; mac: string }[]> = {
  ptp: [{ name: 'veth0', mac: '0a:58:0a:16:00:01' }],
  bridge: [
    { name: 'cni0', mac: '0a:58:0a:16:00:01' },
    { name: 'veth0', mac: '0a:58:0a:16:00:02' },
  ],
  macvlan: [],
}

/** Makes the NIC. @returns the device that has the gateway's addresses */
const WIRE: Record<FirstPlugin, (node: string, far: string, pod: string) => Promise<string>> = {
  async ptp(node, _far, pod) {
    await configure(
      node,
      `
      link add veth0 type veth peer name eth0 address ${MAC} netns ${pod}
      link set veth0 up`,
    )
    await configure(pod, ADDRESSES_AND_DEFAULTS)
    // A point-to-point link: what the address made on-link goes through the gateway, which is on-link alone.
    await configure(
      pod,
      `
      route del 10.22.0.0/16 dev eth0
      route add ${GATEWAY[4]}/32 dev eth0 scope link src 10.22.0.5
      route add 10.22.0.0/16 via ${GATEWAY[4]} dev eth0 src 10.22.0.5
      route del fd00:10:22::/64 dev eth0
      route add ${GATEWAY[6]}/128 dev eth0 src fd00:10:22::5
      route add fd00:10:22::/64 via ${GATEWAY[6]} dev eth0 src fd00:10:22::5`,
    )
    await configure(
      node,
      `
      addr add ${GATEWAY[4]}/32 dev veth0
      addr add ${GATEWAY[6]}/128 dev veth0 nodad
      route add 10.22.0.5/32 dev veth0
      route add fd00:10:22::5/128 dev veth0`,
    )
    return 'veth0'
  },

  async bridge(node, _far, pod) {
    await configure(
      node,
      `
      link add cni0 type bridge
      link add veth0 type veth peer name eth0 address ${MAC} netns ${pod}
      link set veth0 master cni0
      link set veth0 up
      link set cni0 up`,
    )
    await configure(pod, ADDRESSES_AND_DEFAULTS)
    await configure(node, `addr add ${GATEWAY[4]}/16 dev cni0\naddr add ${GATEWAY[6]}/64 dev cni0 nodad`)
    return 'cni0'
  },

  async macvlan(node, far, pod) {
    await configure(
      node,
      `
      link add parent type veth peer name uplink netns ${far}
      link set parent up
      link add link parent name eth0 address ${MAC} netns ${pod} type macvlan mode bridge`,
    )
    await configure(
      far,
      `
      link set uplink up
      addr add ${GATEWAY[4]}/16 dev uplink
      addr add ${GATEWAY[6]}/64 dev uplink nodad`,
    )
    await configure(pod, ADDRESSES_AND_DEFAULTS)
    return 'uplink'
  },
}

const ADDRESSES_AND_DEFAULTS = `
  link set eth0 up
  addr add ${ADDRESS[4]} dev eth0
  addr add ${ADDRESS[6]} dev eth0 nodad
  route add default via ${GATEWAY[4]} dev eth0
  route add ::/0 via ${GATEWAY[6]} dev eth0`
