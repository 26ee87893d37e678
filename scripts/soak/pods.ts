import { execa } from 'execa'
import { type CalicoPod, configurePod, POD_MAC } from '../../test/support/calico.ts'
import { configure, createNamespaces, netnsPath, removeNamespace, routes } from '../../test/support/netns.ts'
import type { Configuration } from './configurations.ts'

/** How long the kernel may take to remove a namespace, which it does in the background, in batches. */
const UNMAKING_LIMIT_MS = 30_000

export interface SoakPod extends CalicoPod {
  readonly number: number
  /** The main table as Calico leaves it. */
  readonly before: readonly string[]
}

/** The host veth of the pod's NIC, which exists exactly as long as the pod's namespace. */
const hostVeth = (number: number) => `cali${number}`

export async function createNode(): Promise<string> {
  const { node } = await createNamespaces('node')
  return node
}

/** A pod as Calico makes it, with a second NIC like that of Kube-OVN if the configuration needs one. */
export async function createPod(node: string, number: number, { families, second }: Configuration): Promise<SoakPod> {
  const { pod } = await createNamespaces('pod')
  await configure(pod, 'sysctl net.ipv6.conf.default.accept_dad=0\nlink set lo up')
  await configure(
    node,
    `
    link add ${hostVeth(number)} type veth peer name eth0 address ${POD_MAC} netns ${pod}
    link set ${hostVeth(number)} up
    ${second ? `link add ovn${number} type veth peer name net1 netns ${pod}\nlink set ovn${number} up` : ''}`,
  )
  await configurePod(pod, families)
  if (second)
    await configure(pod, 'link set net1 up\naddr add 10.0.1.11/24 dev net1\naddr add fd00:10:0:1::11/64 dev net1 nodad')
  const before = await routes(pod)
  return { netns: pod, path: netnsPath(pod), ifname: 'eth0', families, node, underlay: node, number, before }
}

/** Restores the main table, as the previous plugins would on the next ADD. */
export async function restore(pod: SoakPod): Promise<void> {
  const now = await routes(pod.netns)
  const lines = [
    ...now.filter((route) => !pod.before.includes(route)).map((route) => `route del ${route}`),
    ...pod.before.filter((route) => !now.includes(route)).map((route) => `route add ${route}`),
  ]
  if (lines.length > 0) await execa('ip', ['-n', pod.netns, '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** Removes the pod. @throws Error if something keeps its namespace alive */
export async function removePod({ netns, node, number }: SoakPod): Promise<void> {
  removeNamespace(netns)
  const until = Date.now() + UNMAKING_LIMIT_MS
  while (await exists(node, hostVeth(number))) {
    if (Date.now() > until)
      throw new Error(`the namespace ${netns} still exists ${UNMAKING_LIMIT_MS / 1000} s after its removal`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function exists(netns: string, ifname: string): Promise<boolean> {
  const { exitCode } = await execa('ip', ['-n', netns, 'link', 'show', 'dev', ifname], { reject: false })
  return exitCode === 0
}
