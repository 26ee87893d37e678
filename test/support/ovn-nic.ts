/**
 * A pod that Calico and an OVN-like VPC attach one after the other, in any order, each as the plugin in question does it:
 *
 *     [underlay] 10.50.31.21 -- eth0 [node] cali1234567890a -- eth0 [pod] net1 -- port [router] wan -- eth0 [internet] 203.0.113.10
 *
 * The two hosts at the ends bear each other's addresses too: what leaves the pod the wrong way is answered, by the wrong one.
 */
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { CALICO, type CalicoPod, type Family, HOST_VETH, INTERNET, POD, POD_MAC, type Pod, UNDERLAY } from './calico.ts'
import { configure, createNamespaces, inNetns, linkLocalReady, netnsPath, routes } from './netns.ts'
import { host } from './packets.ts'
import type { CniResult } from './runtime.ts'

export const ROUTER = { 4: '10.0.1.1', 6: 'fd00:10:0:1::1' } as const
export const OVN_POD = { 4: '10.0.1.11', 6: 'fd00:10:0:1::11' } as const
export const OVN_MAC = '00:00:00:2f:11:0a'

const LENGTH = { 4: 24, 6: 64 } as const
const SUBNET = { 4: '10.0.1.0/24', 6: 'fd00:10:0:1::/64' } as const
const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const
const NODE = { 4: '10.50.0.10', 6: 'fd00:10:50::10' } as const
const WAN = { 4: '203.0.113.2', 6: '2001:db8:113::2' } as const

export interface Site extends AsyncDisposable {
  /** The pod's namespace, empty at first, and its path as a runtime hands it over. */
  readonly netns: string
  readonly path: string
  readonly families: readonly Family[]
  readonly node: string
  readonly underlay: string
  readonly router: string
  readonly internet: string
}

export interface OvnNic extends Pod {
  /** What kube-ovn prints for it. */
  readonly result: CniResult
}

/** A site with an empty pod. Its two hosts answer until it is disposed of. */
export async function site({ families = [4, 6] }: { families?: readonly Family[] } = {}): Promise<Site> {
  const names = await createNamespaces('node', 'underlay', 'router', 'internet', 'pod')
  const { node, underlay, router, internet, pod } = names
  // Duplicate address detection would make every IPv6 address unusable for its first one or two seconds.
  const start = 'sysctl net.ipv6.conf.default.accept_dad=0\nlink set lo up'
  const forward = 'sysctl net.ipv4.ip_forward=1\nsysctl net.ipv6.conf.all.forwarding=1'
  await Promise.all([
    configure(node, `${start}\n${forward}\nlink add eth0 type veth peer name eth0 netns ${underlay}\nlink set eth0 up`),
    configure(router, `${start}\n${forward}\nlink add wan type veth peer name eth0 netns ${internet}\nlink set wan up`),
    configure(pod, start),
  ])
  // Addresses after links: an IPv6 address older than its link's carrier answers nobody for a second.
  const end = (own: typeof UNDERLAY | typeof INTERNET, gateway: typeof NODE | typeof WAN, length: 16 | 24) => `
    ${start}
    link set eth0 up
    addr add ${own[4]}/${length} dev eth0
    addr add ${own[6]}/64 dev eth0 nodad
    ${[UNDERLAY, INTERNET]
      .filter((other) => other !== own)
      .map((other) => `addr add ${other[4]}/32 dev lo\naddr add ${other[6]}/128 dev lo`)
      .join('\n')}
    route add default via ${gateway[4]} dev eth0
    route add ::/0 via ${gateway[6]} dev eth0`
  await Promise.all([
    configure(underlay, end(UNDERLAY, NODE, 16)),
    configure(internet, end(INTERNET, WAN, 24)),
    configure(
      node,
      `
      addr add ${NODE[4]}/16 dev eth0
      addr add ${NODE[6]}/64 dev eth0 nodad
      # also what makes proxy_arp answer for 169.254.1.1
      route add default via ${UNDERLAY[4]} dev eth0
      route add ::/0 via ${UNDERLAY[6]} dev eth0`,
    ),
    configure(
      router,
      `
      addr add ${WAN[4]}/24 dev wan
      addr add ${WAN[6]}/64 dev wan nodad
      route add default via ${INTERNET[4]} dev wan
      route add ::/0 via ${INTERNET[6]} dev wan`,
    ),
  ])
  const hosts = await Promise.all([host(underlay, 'underlay'), host(internet, 'internet')])
  return {
    netns: pod,
    path: netnsPath(pod),
    families,
    node,
    underlay,
    router,
    internet,
    async [Symbol.asyncDispose]() {
      await Promise.all(hosts.map((one) => one[Symbol.asyncDispose]()))
    },
  }
}

/**
 * Calico's ADD, in its order: the way to the gateway, the default route, the address. In a pod that has a default route of the
 * same metric it fails, and takes back what it made.
 * @see https://github.com/projectcalico/calico/issues/5199
 */
export async function attachCalico(pod: Site, ifname = 'eth0'): Promise<CalicoPod> {
  const { netns, node, families } = pod
  await configure(
    node,
    `
    link add ${HOST_VETH} address ee:ee:ee:ee:ee:ee type veth peer name ${ifname} address ${POD_MAC} netns ${netns}
    link set ${HOST_VETH} up`,
  )
  const inPod = {
    4: `
      route add ${CALICO[4]} dev ${ifname} scope link
      route add default via ${CALICO[4]} dev ${ifname}
      addr add ${POD[4]}/32 dev ${ifname}`,
    6: `
      route add ::/0 via ${CALICO[6]} dev ${ifname}
      addr add ${POD[6]}/128 dev ${ifname} nodad`,
  }
  try {
    await configure(netns, `link set ${ifname} up ${families.map((family) => inPod[family]).join('')}`)
  } catch (error) {
    await detachCalico(pod)
    throw error
  }
  const toPod = {
    4: `route add ${POD[4]}/32 dev ${HOST_VETH} scope link`,
    6: `route add ${POD[6]}/128 dev ${HOST_VETH}`,
  }
  await configure(
    node,
    `
    ${families.map((family) => toPod[family]).join('\n')}
    sysctl net.ipv4.conf.${HOST_VETH}.route_localnet=1
    sysctl net.ipv4.neigh.${HOST_VETH}.proxy_delay=0
    sysctl net.ipv4.conf.${HOST_VETH}.proxy_arp=1
    sysctl net.ipv6.conf.${HOST_VETH}.proxy_ndp=1`,
  )
  await Promise.all([linkLocalReady(netns, ifname), linkLocalReady(node, HOST_VETH)])
  return { ...pod, ifname }
}

/** Calico's DEL: the pod's end goes with the node's. */
export const detachCalico = (pod: Site): Promise<void> => configure(pod.node, `link del ${HOST_VETH}`)

/**
 * kube-ovn's ADD. With a default route (its annotation `default_route`) it takes the place of whatever default has its metric,
 * on any NIC, and the Result tells the gateway; without, the NIC has connected routes only.
 * @param gateway what the default really leads to, where that is not the subnet's gateway (u2o)
 */
export async function attachOvn(
  pod: Site,
  {
    ifname = 'net1',
    defaultRoute = true,
    gateway = ROUTER,
  }: { ifname?: string; defaultRoute?: boolean; gateway?: Record<Family, string> } = {},
): Promise<OvnNic> {
  const { netns, router, families } = pod
  await configure(
    router,
    `link add port type veth peer name ${ifname} address ${OVN_MAC} netns ${netns}\nlink set port up`,
  )
  const inPod = families.flatMap((family) => [
    `addr add ${OVN_POD[family]}/${LENGTH[family]} dev ${ifname} ${family === 6 ? 'nodad' : ''}`,
    defaultRoute ? `route replace ${ANY[family]} via ${gateway[family]} dev ${ifname}` : '',
  ])
  await configure(netns, `link set ${ifname} up\n${inPod.join('\n')}`)
  await configure(
    router,
    `addr add ${gateway[4]}/${LENGTH[4]} dev port\naddr add ${gateway[6]}/${LENGTH[6]} dev port nodad`,
  )
  await Promise.all([linkLocalReady(netns, ifname), linkLocalReady(router, 'port')])
  const result = {
    cniVersion: '1.0.0',
    interfaces: [{ name: ifname, mac: OVN_MAC, sandbox: pod.path }],
    ips: families.map((family) => ({
      interface: 0,
      address: `${OVN_POD[family]}/${LENGTH[family]}`,
      ...(defaultRoute ? { gateway: ROUTER[family] } : {}),
    })),
    routes: families.flatMap((family) => [
      ...(defaultRoute ? [{ dst: ANY[family], gw: gateway[family] }] : []),
      { dst: SUBNET[family] },
    ]),
    dns: {},
  }
  return { ...pod, ifname, result }
}

export const detachOvn = (pod: Site): Promise<void> => configure(pod.router, 'link del port')

/** The default routes of the main table, as `ip route` words them, IPv4 before IPv6. */
export async function defaults(netns: string): Promise<string[]> {
  const found = (await routes(netns)).filter((route) => route.startsWith('default'))
  return [...found.filter((route) => !isIpv6(route)), ...found.filter(isIpv6)]
}

const isIpv6 = (route: string) => / via \S*:| metric 1024\b/.test(route)

const tracer = fileURLToPath(new URL('packets/tracer.ts', import.meta.url))

/**
 * Where packets to each address go, by answer and by the NICs' own counters: `internet sees 10.0.1.11, 5 packets by net1`;
 * where nothing leaves, why: `ENETUNREACH, no packets`.
 */
export async function paths(netns: string, ...addresses: string[]): Promise<Record<string, string>> {
  return JSON.parse(await inNetns(netns, process.execPath, [tracer, ...addresses]))
}

/** What `paths` must show of a pod whose NICs do what they are for. */
export function separatePaths(families: readonly Family[], calico = 'eth0', ovn = 'net1'): Record<string, string> {
  return Object.fromEntries(
    families.flatMap((family) => [
      [UNDERLAY[family], `underlay sees ${POD[family]}, 5 packets by ${calico}`],
      [INTERNET[family], `internet sees ${OVN_POD[family]}, 5 packets by ${ovn}`],
    ]),
  )
}

/** The same of a pod that has only its OVN NIC: everything goes there. */
export const ovnPaths = (families: readonly Family[], ovn = 'net1'): Record<string, string> =>
  Object.fromEntries(
    families.map((family) => [INTERNET[family], `internet sees ${OVN_POD[family]}, 5 packets by ${ovn}`]),
  )

const MARKER = '192.0.2.255 dev lo table 9999'

/**
 * Follows the kernel's own account of every route it adds, replaces and deletes.
 * @returns stops; the moments at which a family had no default route, each as the change that led there
 */
export async function watchDefaults(netns: string): Promise<() => Promise<string[]>> {
  const present = new Map((await defaults(netns)).map((route) => [placeOf(route), route]))
  const moments: string[] = []
  const monitor = execa('nsenter', [`--net=${netnsPath(netns)}`, 'ip', '-o', 'monitor', 'route'], { buffer: false })
  let [text, ended] = ['', false]
  monitor.catch(() => {}).finally(() => (ended = true)) // ends by a signal, as it should
  // The monitor may not listen yet: it is asked again until it has heard.
  const seen = async (word: string, mark: () => Promise<void>) => {
    while (!text.includes(word)) {
      if (ended) throw new Error('ip monitor ended')
      await mark()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  monitor.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  // The kernel says nothing of a route that is replaced by its like.
  const mark = (route: string) => () => configure(netns, `route add ${route}\nroute del ${route}`)
  await seen('192.0.2.255', mark(MARKER))
  return async () => {
    await seen('192.0.2.254', mark(MARKER.replace('255', '254')))
    monitor.kill()
    for (const line of text.split('\n').map((one) => one.replaceAll(/ pref medium| linkdown/g, '').trim())) {
      const [, deleted, route] = /^(Deleted )?(default .*)$/.exec(line) ?? []
      if (route === undefined || route.includes(' table ')) continue
      const place = placeOf(route)
      if (!deleted) present.set(place, route)
      else if (present.get(place) === route) present.delete(place)
      const family = place.slice(0, 4)
      if (![...present.keys()].some((other) => other.startsWith(family))) moments.push(line)
    }
    return moments
  }
}

const placeOf = (route: string) => `${isIpv6(route) ? 'IPv6' : 'IPv4'} ${/ metric (\d+)/.exec(route)?.[1] ?? 0}`
