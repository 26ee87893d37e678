/** Whom the pod of the demonstration sends packets to, and what must become of them. */
import { type Family, INTERNET, POD, UNDERLAY } from '../../test/support/calico.ts'
import { configure, createNamespaces, linkLocalReady, routes } from '../../test/support/netns.ts'
import { OVN_POD, paths, ROUTER, type Site } from '../../test/support/ovn-nic.ts'
import { host } from '../../test/support/packets.ts'
import { packetRow, packetsTitle, problem } from './report.ts'

const CLUSTER_POD = { 4: '10.199.7.9', 6: 'fd00:10:199::709' } as const
const CLUSTER_VETH = 'cali7094567890a'

type Moment = 'before' | 'after'
interface Target {
  readonly name: string
  readonly address: Record<Family, string>
  /** Which NIC a packet leaves by, and which host answers it. */
  readonly goes: Record<Moment, { readonly nic: 'eth0' | 'net1'; readonly to: string; readonly wrong?: boolean }>
}

const always = (nic: 'eth0' | 'net1', to: string): Target['goes'] => ({ before: { nic, to }, after: { nic, to } })
const TARGETS: readonly Target[] = [
  { name: 'underlay', address: UNDERLAY, goes: always('eth0', 'underlay') },
  { name: 'cluster pod', address: CLUSTER_POD, goes: always('eth0', 'pod') },
  { name: 'VPC gateway', address: ROUTER, goes: always('net1', 'gateway') },
  {
    name: 'internet',
    address: INTERNET,
    // The underlay's host has the internet's address as well: it answers what takes the wrong way.
    goes: { before: { nic: 'eth0', to: 'underlay', wrong: true }, after: { nic: 'net1', to: 'internet' } },
  },
]
const WORDS: Readonly<Record<string, string>> = {
  underlay: 'the underlay',
  pod: 'that pod',
  gateway: 'the gateway',
  internet: 'the internet',
}
const SOURCE = { eth0: POD, net1: OVN_POD } as const

/** Another pod of the cluster, on the same node. It answers until it is disposed of. */
export async function clusterPod({ node, families }: Site): Promise<AsyncDisposable> {
  const { other } = await createNamespaces('other')
  const inPod = {
    4: `addr add ${CLUSTER_POD[4]}/32 dev eth0\nroute add 169.254.1.1 dev eth0\nroute add default via 169.254.1.1`,
    6: `addr add ${CLUSTER_POD[6]}/128 dev eth0 nodad\nroute add ::/0 via fe80::ecee:eeff:feee:eeee dev eth0`,
  }
  const onNode = {
    4: `route add ${CLUSTER_POD[4]} dev ${CLUSTER_VETH}
      sysctl net.ipv4.neigh.${CLUSTER_VETH}.proxy_delay=0
      sysctl net.ipv4.conf.${CLUSTER_VETH}.proxy_arp=1`,
    6: `route add ${CLUSTER_POD[6]} dev ${CLUSTER_VETH}`,
  }
  const of = (lines: Record<Family, string>) => families.map((family) => lines[family]).join('\n')
  if (families.includes(6)) await configure(other, 'sysctl net.ipv6.conf.default.accept_dad=0')
  await configure(
    node,
    `link add ${CLUSTER_VETH} address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns ${other}
    link set ${CLUSTER_VETH} up`,
  )
  await configure(other, `link set eth0 up\n${of(inPod)}`)
  await configure(node, of(onNode))
  if (families.includes(6)) await Promise.all([linkLocalReady(other, 'eth0'), linkLocalReady(node, CLUSTER_VETH)])
  return host(other, 'pod')
}

/** The VPC's router answers by itself, too. */
export const vpcGateway = ({ router }: Site): Promise<AsyncDisposable> => host(router, 'gateway')

/** The pod's routes, but for the kernel's own to the addresses of the pod itself, and for the metric that every IPv6 route has. */
export async function ownRoutes(netns: string): Promise<string[]> {
  return (await routes(netns))
    .filter((route) => !Object.values(POD).some((address) => route.startsWith(address)))
    .map((route) => route.replace(' metric 1024', ''))
}

/** Sends packets to every target, tells where they went, and holds that against what must become of them at this moment. */
export async function prove({ netns, families }: Site, moment: Moment): Promise<void> {
  const seen = await paths(netns, ...TARGETS.flatMap(({ address }) => families.map((family) => address[family])))
  packetsTitle(families)
  for (const { name, address, goes } of TARGETS) {
    const { nic, to, wrong = false } = goes[moment]
    const source = SOURCE[nic]
    const wrongs = families.flatMap((family) => {
      const expected = `${to} sees ${source[family]}, 5 packets by ${nic}`
      const found = seen[address[family]]
      return found === expected ? [] : [`${name} ${address[family]}: ${found}; must be: ${expected}`]
    })
    wrongs.forEach(problem)
    if (wrongs.length > 0) continue
    const answer = `${WORDS[to]}${wrong ? ', past the VPC' : `, to ${source[4]}`}`
    packetRow({ name, address: address[4], nics: families.map(() => nic), answer, wrong })
  }
}
