/** A pod of the real kernel with three NICs on veth, whose routing tables can be set and read again and again. */
import { execa } from 'execa'
import { configure, createNamespaces, linkLocalReady, netnsPath, removeNamespace } from '../../support/netns.ts'

export const NICS = ['eth0', 'net1', 'net2'] as const
export type Nic = (typeof NICS)[number]
export type Family = 4 | 6
export const FAMILIES = [4, 6] as const

/** eth0 is as Calico makes it, the others as kube-ovn does. */
export const ADDRESSES: Readonly<Record<Nic, Readonly<Record<Family, string>>>> = {
  eth0: { 4: '10.199.3.153/32', 6: 'fd00:10:199::153/128' },
  net1: { 4: '10.0.1.10/24', 6: 'fd00:10:0:1::10/64' },
  net2: { 4: '10.0.2.10/24', 6: 'fd00:10:0:2::10/64' },
}
export const GATEWAYS: Readonly<Record<Nic, Readonly<Record<Family, string>>>> = {
  eth0: { 4: '169.254.1.1', 6: 'fe80::1' },
  net1: { 4: '10.0.1.1', 6: 'fd00:10:0:1::1' },
  net2: { 4: '10.0.2.1', 6: 'fd00:10:0:2::1' },
}
export const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const
export const TABLES = [254, 100] as const

/** What the kernel or the plugins that made the NICs put there, and nobody takes away. */
const WIRING = `
  route add 169.254.1.1 dev eth0 scope link
  route add 10.0.1.0/24 dev net1 proto kernel scope link src 10.0.1.10
  route add 10.0.2.0/24 dev net2 proto kernel scope link src 10.0.2.10
  route add fd00:10:199::153 dev eth0 proto kernel metric 256
  route add fd00:10:0:1::/64 dev net1 proto kernel metric 256
  route add fd00:10:0:2::/64 dev net2 proto kernel metric 256
  ${NICS.map((nic) => `route append fe80::/64 dev ${nic} proto kernel metric 256`).join('\n')}`

export interface ModelPod {
  readonly netns: string
  /** The namespace of the other ends. */
  readonly far: string
  readonly path: string
  remove(): void
}

export async function modelPod(): Promise<ModelPod> {
  const { pod, far } = await createNamespaces('pod', 'far')
  const start = 'sysctl net.ipv6.conf.default.accept_dad=0\nlink set lo up'
  await Promise.all([configure(pod, start), configure(far, start)])
  const links = NICS.map(
    (nic) => `
    link add ${nic} type veth peer name ${nic} netns ${far}
    link set ${nic} up`,
  )
  await configure(pod, links.join(''))
  await configure(far, NICS.map((nic) => `link set ${nic} up`).join('\n'))
  await Promise.all(NICS.map((nic) => linkLocalReady(pod, nic)))
  const addresses = NICS.flatMap((nic) => FAMILIES.map((of) => `addr add ${ADDRESSES[nic][of]} dev ${nic}`))
  await configure(pod, addresses.map((line) => (line.includes(':') ? `${line} nodad` : line)).join('\n'))
  return {
    netns: pod,
    far,
    path: netnsPath(pod),
    remove() {
      removeNamespace(pod)
      removeNamespace(far)
    },
  }
}

/** Takes the IPv6 addresses of these NICs away, and gives them to the others. */
export async function setAddresses(pod: ModelPod, lacking: readonly Nic[]): Promise<void> {
  const line = (nic: Nic) => {
    const op = lacking.includes(nic) ? 'del' : 'replace'
    return `addr ${op} ${ADDRESSES[nic][6]} dev ${nic}${op === 'del' ? '' : ' nodad'}`
  }
  await tell(pod, NICS.map(line))
}

/** Makes the tables those of the wiring and `lines`; a line the kernel does not take is left out. */
export async function setTables({ netns }: ModelPod, lines: readonly string[]): Promise<void> {
  const flush = TABLES.flatMap((table) => [`-4 route flush table ${table}`, `-6 route flush table ${table}`])
  for (const line of flush) await execa('ip', ['-n', netns, ...line.split(' ')], { reject: false })
  await tell({ netns }, [...WIRING.split('\n'), ...lines])
}

/** Lines for ip(8), those that fail left out. */
export async function tell({ netns }: Pick<ModelPod, 'netns'>, lines: readonly string[]): Promise<void> {
  await execa('ip', ['-n', netns, '-force', '-batch', '-'], { input: `${lines.join('\n')}\n`, reject: false })
}

/** A route as the kernel shows it: what the model speaks of, and a text of every attribute. */
export interface Seen {
  readonly family: Family
  readonly dst: string
  readonly gw?: string
  /** Absent where it leads nowhere, or to several. */
  readonly dev?: string
  readonly table: number
  readonly proto: number
  readonly metric: number
  /** By their names in `ip -json`. */
  readonly attributes: Readonly<Record<string, unknown>>
  readonly unicast: boolean
  /** One next hop of an IPv6 multipath route, of which the kernel tells little more than where it leads. */
  readonly joined: boolean
  readonly text: string
}

interface RouteJson {
  type: string
  dst: string
  gateway?: string
  dev?: string
  table?: string
  protocol?: string
  metric?: number
  metrics?: Record<string, unknown>[]
  pref?: string
  nhid?: number
  nexthops?: { gateway?: string; dev?: string }[]
  joined?: true
}

export interface Tables {
  readonly routes: readonly Seen[]
  /** All that ip(8) says, to the last attribute and in the kernel's order. */
  readonly text: string
}

export async function readTables({ netns }: ModelPod): Promise<Tables> {
  const question = ['-json', '-Numeric', '-details', 'route', 'show', 'table', 'all']
  const { stdout: answer } = await execa('ip', ['-n', netns, ...question])
  // Of a time that runs out, only that there is one stays the same.
  const stdout = answer.replaceAll(/"expires":\d+/g, '"expires":1')
  const all: RouteJson[] = JSON.parse(stdout)
  const ours = all.filter(({ table }) => table === undefined || TABLES.some((one) => String(one) === table))
  return {
    routes: ours.flatMap(hopsOf).map((json): Seen => {
      const { gateway, dev } = soleHop(json)
      const family = json.pref !== undefined || json.dst.includes(':') ? 6 : 4
      const dst = json.dst === 'default' ? ANY[family] : json.dst
      return {
        family,
        dst: dst.includes('/') ? dst : `${dst}/${family === 4 ? 32 : 128}`,
        ...(gateway === undefined ? {} : { gw: gateway }),
        ...(dev === undefined ? {} : { dev }),
        table: Number(json.table ?? 254),
        proto: Number(json.protocol),
        metric: json.metric ?? 0,
        attributes: json.metrics?.[0] ?? {},
        unicast: json.type === '1',
        joined: json.joined === true,
        text: JSON.stringify(json),
      }
    }),
    text: stdout,
  }
}

/** The same text for the same attributes. */
export const attributesText = ({ attributes }: Pick<Seen, 'attributes'>): string =>
  JSON.stringify(Object.entries(attributes).sort())

/** A group may have one member. */
function soleHop(json: RouteJson): Pick<RouteJson, 'gateway' | 'dev'> {
  const [first, ...others] = json.nexthops ?? []
  return first && others.length === 0 ? first : json
}

/** The rules of both families, and the nexthop objects: the plugin has no business with either. */
export async function readRules({ netns }: Pick<ModelPod, 'netns'>): Promise<string> {
  const input = 'rule show\nnexthop show\n'
  const show = (family: string) => execa('ip', ['-n', netns, family, '-Numeric', '-batch', '-'], { input })
  const answers = await Promise.all([show('-4'), show('-6')])
  return answers.map(({ stdout }) => stdout).join('\n')
}

/** Each next hop of an IPv6 multipath route by itself, with what the kernel tells of it: not more than where it leads. */
function hopsOf(json: RouteJson): RouteJson[] {
  const { pref, nhid, nexthops, type, dst, table, metric, protocol } = json
  if (pref === undefined || nhid !== undefined || !nexthops) return [json]
  return nexthops.map(({ gateway, dev }, i) => ({
    ...{ type, dst, pref, joined: true as const },
    ...(table === undefined ? {} : { table }),
    ...(metric === undefined ? {} : { metric }),
    ...(protocol === undefined || i > 0 ? { protocol: '3' } : { protocol }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(dev === undefined ? {} : { dev }),
  }))
}

export const mainDefaults = ({ routes }: Tables, family: Family, nic?: string): Seen[] =>
  routes.filter(
    (route) =>
      route.unicast &&
      route.family === family &&
      route.table === 254 &&
      route.dst === ANY[family] &&
      (nic === undefined || route.dev === nic),
  )
