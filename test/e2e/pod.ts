/** What a pod looks like from inside, and what the node remembers of it. */
import { INTERNET } from '../support/calico.ts'
import type { CniResult } from '../support/runtime.ts'
import { SERVICE, type TestNode } from './node.ts'

export interface Attachment {
  readonly node: TestNode
  readonly netns: string
}

/** The main table's routes by one NIC, both families, as `ip route` words them, sorted. */
export async function routes({ node, netns }: Attachment, ifname: string): Promise<string[]> {
  const { stdout } = await node.inPod(netns, ['ip', '-o', 'route', 'show', 'table', 'all', 'dev', ifname])
  return stdout
    .split('\n')
    .map((line) => line.replaceAll(/ pref medium| linkdown/g, '').trim())
    .filter((line) => line !== '' && !line.includes(' table ') && !line.startsWith('fe80::/64 '))
    .sort()
}

/** For each host, whether a ping is answered: `answers`, `no route` (nothing was sent) or `silent`. */
export async function reach(pod: Attachment): Promise<Record<string, string>> {
  const targets = { service4: SERVICE[4], service6: SERVICE[6], internet4: INTERNET[4], internet6: INTERNET[6] }
  const pings = Object.entries(targets).map(async ([name, address]) => [name, await ping(pod, address)] as const)
  return Object.fromEntries(await Promise.all(pings))
}

export const REACH_ALL = { service4: 'answers', service6: 'answers', internet4: 'answers', internet6: 'answers' }
export const REACH_SERVICE = { service4: 'answers', service6: 'answers', internet4: 'no route', internet6: 'no route' }

async function ping({ node, netns }: Attachment, address: string): Promise<string> {
  const ran = await node.inPod(netns, ['busybox', 'ping', '-c', '1', '-W', '3', address], { reject: false })
  if (ran.exitCode === 0) return 'answers'
  return ran.stderr.includes('Network is unreachable') ? 'no route' : 'silent'
}

/** The Result that libcni keeps for later calls. Without a container: of the network's only attachment. */
export function cachedResult(node: TestNode, network: string, ifname = 'eth0', container = ''): CniResult {
  const name = node
    .list('/var/lib/cni/results')
    .find((file) => file.startsWith(`${network}-${container}`) && file.endsWith(`-${ifname}`))
  return JSON.parse(node.read(`/var/lib/cni/results/${name}`)).result
}

/** Everything that an attachment leaves on the node while it is there. The same before and after, nothing leaked. */
export async function inventory(node: TestNode): Promise<object> {
  const links = JSON.parse((await node.run(['ip', '-j', '-d', 'link'])).stdout) as Link[]
  return {
    // the bridge plugin's bridge stays, by its design
    links: links.filter(({ linkinfo }) => linkinfo?.info_kind !== 'bridge').map(({ ifname }) => ifname),
    cachedResults: node.list('/var/lib/cni/results'),
    addresses: node
      .list('/var/lib/cni/networks')
      .flatMap((network) => node.list(`/var/lib/cni/networks/${network}`))
      .filter((file) => !/^(lock|last_reserved_ip\.\d+)$/.test(file)),
  }
}

interface Link {
  ifname: string
  linkinfo?: { info_kind?: string }
}
