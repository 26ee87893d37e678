/**
 * What sourceRouting is for: clients whose addresses are in no route ask services in a pod by the address of one of its NICs,
 * through routers that track connections. The pod of ovn-nic.ts, and a third NIC of it, which is a macvlan in a network of its own:
 *
 *     [lan] 10.22.0.1 uplink -- parent [node] -- macvlan net2 [pod] 10.22.0.5, and 10.22.0.9 [neighbour]
 */
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { Family, Pod } from './calico.ts'
import { configure, createNamespaces, inNetns, linkLocalReady, netnsPath } from './netns.ts'
import type { Site } from './ovn-nic.ts'
import type { CniResult } from './runtime.ts'

const PORT = 7144
const script = (name: string) => fileURLToPath(new URL(`packets/${name}.ts`, import.meta.url))

/** Somebody who asks, by addresses that no route of the pod is for. */
export interface Client {
  readonly netns: string
  readonly address: Readonly<Record<Family, string>>
}

/** Behind Calico's underlay, and behind the network of the macvlan. */
export const STRANGER = { 4: '192.0.2.77', 6: '2001:db8:77::77' } as const
export const LAN_STRANGER = { 4: '192.0.2.88', 6: '2001:db8:88::88' } as const

/** The client behind the underlay; the underlay host is its router. */
export async function stranger({ underlay }: Site): Promise<Client> {
  await configure(underlay, `addr add ${STRANGER[4]}/32 dev lo\naddr add ${STRANGER[6]}/128 dev lo`)
  return { netns: underlay, address: STRANGER }
}

/** The packet filter of a strict router: it drops what belongs to no connection that it has seen begin. */
export const FILTER = `
table inet strict {
  counter dropped {}
  chain forward {
    type filter hook forward priority 0
    fib saddr . iif oif 0 counter name dropped drop
    ct state established accept
    ct state invalid counter name dropped drop
    tcp flags & (syn | ack) != syn counter name dropped drop
  }
}`

/**
 * Makes routers strict: they drop what belongs to no connection that they know, and what comes from where the answer would
 * not go. The pod, too, takes nothing from where the answer would not go.
 */
export async function strict({ netns, node, router }: Pick<Site, 'netns' | 'node' | 'router'>, ...more: string[]) {
  const routers = [node, router, ...more]
  await Promise.all([
    ...routers.map((one) => execa('nsenter', [`--net=${netnsPath(one)}`, 'nft', '-f', '-'], { input: FILTER })),
    ...[netns, ...routers].map((one) => configure(one, 'sysctl net.ipv4.conf.all.rp_filter=1')),
  ])
}

/** Of a namespace by name, or by its path where that is another's. */
const pathOf = (netns: string) => (netns.startsWith('/') ? netns : netnsPath(netns))

/** Lets services in a namespace answer on these addresses, until they are disposed of. */
export async function service(netns: string, ...addresses: string[]): Promise<AsyncDisposable> {
  const child = execa('nsenter', [
    ...[`--net=${pathOf(netns)}`, process.execPath, script('service'), `${PORT}`],
    ...addresses,
  ])
  child.catch(() => {}) // ends by a signal, as it should
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), child])
  return {
    async [Symbol.asyncDispose]() {
      child.kill()
      await child.catch(() => {})
    },
  }
}

/** What a client hears of these addresses, by TCP and UDP: `pod sees 192.0.2.77`, or why there was no answer. */
export async function ask({ netns, address }: Client, ...addresses: string[]): Promise<Record<string, string>> {
  const pairs = addresses.map((one) => `${address[one.includes(':') ? 6 : 4]}=${one}`)
  const { stdout } = await execa('nsenter', [
    ...[`--net=${pathOf(netns)}`, process.execPath, script('client'), `${PORT}`],
    ...pairs,
  ])
  return JSON.parse(stdout)
}

/** What `ask` must tell if all is answered. */
export const answered = ({ address }: Client, ...addresses: string[]): Record<string, string> =>
  everyWay(addresses, (one) => `pod sees ${address[one.includes(':') ? 6 : 4]}`)

export const unanswered = (...addresses: string[]): Record<string, string> => everyWay(addresses, () => 'no answer')

const everyWay = (addresses: readonly string[], heard: (address: string) => string) =>
  Object.fromEntries(addresses.flatMap((one) => ['TCP', 'UDP'].map((how) => [`${how} ${one}`, heard(one)])))

const MAC = '0a:58:0a:16:00:05'
export const LAN = {
  gateway: { 4: '10.22.0.1', 6: 'fd00:10:22::1' },
  pod: { 4: '10.22.0.5', 6: 'fd00:10:22::5' },
  neighbour: { 4: '10.22.0.9', 6: 'fd00:10:22::9' },
} as const

export interface LanNic extends Pod {
  readonly result: CniResult
  readonly client: Client
  readonly neighbour: Client
}

/** A macvlan NIC in the pod, without a default route, as the reference plugin makes it if its IPAM has no routes. */
export async function attachMacvlan(pod: Site, ifname = 'net2'): Promise<LanNic> {
  const { netns, node, path, families } = pod
  const { lan, neighbour } = await createNamespaces('lan', 'neighbour')
  const start = 'sysctl net.ipv6.conf.default.accept_dad=0\nlink set lo up'
  await Promise.all([configure(lan, start), configure(neighbour, start)])
  await configure(
    node,
    `
    link add parent type veth peer name uplink netns ${lan}
    link set parent up
    link add link parent name ${ifname} address ${MAC} netns ${netns} type macvlan mode bridge
    link add link parent name eth0 netns ${neighbour} type macvlan mode bridge`,
  )
  const addressed = (dev: string, { 4: four, 6: six }: Record<Family, string>, of: readonly Family[] = [4, 6]) => `
    link set ${dev} up
    ${of.includes(4) ? `addr add ${four}/24 dev ${dev}` : ''}
    ${of.includes(6) ? `addr add ${six}/64 dev ${dev} nodad` : ''}`
  // The gateway forwards nothing: whoever sends to a neighbour must not send it here.
  await configure(
    lan,
    `${addressed('uplink', LAN.gateway)}
    addr add ${LAN_STRANGER[4]}/32 dev lo
    addr add ${LAN_STRANGER[6]}/128 dev lo`,
  )
  await configure(neighbour, addressed('eth0', LAN.neighbour))
  await configure(netns, addressed(ifname, LAN.pod, families))
  await Promise.all([linkLocalReady(netns, ifname), linkLocalReady(lan, 'uplink'), linkLocalReady(neighbour, 'eth0')])
  return {
    ...pod,
    ifname,
    client: { netns: lan, address: LAN_STRANGER },
    neighbour: { netns: neighbour, address: LAN.neighbour },
    result: {
      cniVersion: '1.0.0',
      interfaces: [{ name: ifname, mac: MAC, sandbox: path }],
      ips: families.map((family) => ({
        interface: 0,
        address: `${LAN.pod[family]}/${family === 4 ? 24 : 64}`,
        gateway: LAN.gateway[family],
      })),
      dns: {},
    },
  }
}

/** How many packets the strict filter of a router dropped. */
export async function dropped(router: string): Promise<number> {
  const listed = JSON.parse(await inNetns(router, 'nft', ['-j', 'list', 'counter', 'inet', 'strict', 'dropped']))
  return listed.nftables.flatMap(({ counter }: { counter?: { packets: number } }) => counter?.packets ?? [])[0]
}

/** Where the kernel would send packets, as `ip route get` tells it, without what says nothing. `from`: with these sources. */
export async function routeGet(
  netns: string,
  destinations: readonly string[],
  from?: Readonly<Record<Family, string>>,
): Promise<string[]> {
  const lines = destinations.map((one) => `route get ${one}${from ? ` from ${from[one.includes(':') ? 6 : 4]}` : ''}`)
  const { stdout } = await execa('ip', ['-n', netns, '-o', '-force', '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    reject: false,
    all: true,
  })
  return stdout.split('\n').map((line) =>
    line
      .replaceAll(/\\? *(?:cache|uid \d+|pref medium|metric \d+|proto \w+)(?= |\\|$)/g, '')
      .replaceAll(/[\s\\]+/g, ' ')
      .trim(),
  )
}

/** The rules of a namespace that are not the kernel's own, as `ip rule` words them, IPv4 before IPv6. */
export async function rules(netns: string): Promise<string[]> {
  const show = async (family: string) => (await execa('ip', ['-n', netns, '-N', family, 'rule', 'show'])).stdout
  const all = `${await show('-4')}\n${await show('-6')}`.split('\n')
  return all
    .map((line) => line.replaceAll(/\s+/g, ' ').trim())
    .filter((line) => line !== '' && !/^(0|32766|32767): from all lookup \d+( proto 2)?$/.test(line))
}
