/** Pods without a node: both ends of their links are in them, since nothing is sent, only routes are looked at. */
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { configure, createNamespaces, removeNamespace } from '../support/netns.ts'
import { CALICO, OVN, type Scenario } from './scenarios.ts'

/** A new pod for as long as `use` takes: as the plugins before left it, then changed by lines for ip(8). */
export async function inPod<T>(
  scenario: Scenario,
  lines: readonly string[],
  use: (netns: string) => Promise<T>,
): Promise<T> {
  const netns = await makePod(scenario, lines)
  try {
    return await use(netns)
  } finally {
    removeNamespace(netns)
  }
}

async function makePod({ pod }: Scenario, lines: readonly string[]): Promise<string> {
  const { pod: netns } = await createNamespaces('pod')
  await configure(
    netns,
    `
    sysctl net.ipv6.conf.default.accept_dad=0
    # no link-local addresses, which come on the kernel's own time
    sysctl net.ipv6.conf.default.addr_gen_mode=1
    link set lo up
    link add eth0 address da:8f:31:5c:02:7e type veth peer name host0 address ee:ee:ee:ee:ee:ee
    link add net1 address 00:00:00:2f:11:0a type veth peer name host1 address ee:ee:ee:ee:ee:ef
    sysctl net.ipv6.conf.host0.disable_ipv6=1
    sysctl net.ipv6.conf.host1.disable_ipv6=1
    link set host0 up
    link set host1 up
    link set eth0 up
    link set net1 up
    route add 169.254.1.1 dev eth0 scope link
    route add default ${CALICO[4]}
    addr add 10.199.3.153/32 dev eth0
    route add ::/0 ${CALICO[6]}
    addr add fd00:10:199::153/128 dev eth0 nodad
    addr add 10.0.1.11/24 dev net1
    addr add fd00:10:0:1::11/64 dev net1 nodad
    route add 10.77.0.0/16 ${OVN[4]}
    route add fd00:77::/64 ${OVN[6]}
    ${pod}`,
  )
  const others = [...pod.matchAll(/^addr add (\S+)\/128 dev eth0/gm)].map(
    ([, address]) => new RegExp(`${address} dev eth0 table 255`),
  )
  await settled(netns, others)
  if (lines.length > 0) await configure(netns, lines.join('\n'))
  return netns
}

/** IPv6 addresses get their routes on the kernel's own time. */
async function settled(netns: string, others: readonly RegExp[]): Promise<void> {
  const awaited = [
    /fd00:10:0:1::11 dev net1 table 255/,
    /fd00:10:199::153 dev eth0 table 255/,
    /ff00::.* eth0/,
    /ff00::.* net1/,
    ...others,
  ]
  for (let tries = 0; tries < 500; tries += 1) {
    const state = await stateOf(netns)
    if (awaited.every((route) => route.test(state))) return
    await sleep(5)
  }
  throw new Error(`${netns} does not come to rest`)
}

/** Everything the plugin could have changed in a pod, in the kernel's own order. */
export async function stateOf(netns: string): Promise<string> {
  const questions = ['route show table all', 'rule show', 'address show', 'nexthop show']
  const show = 'ip -n "$0" -d -N -o -batch -; exec ip -n "$0" -6 -d -N -o rule show'
  const { stdout } = await execa('sh', ['-ec', show, netns], { input: `${questions.join('\n')}\n` })
  return stdout.replaceAll(/ linkdown| dead/g, '').replaceAll(/ +$/gm, '')
}
