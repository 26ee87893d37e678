/** A pod's second NIC as kube-ovn makes it. Its other end is the router of the VPC, which knows the internet. */
import { INTERNET, type Pod } from './calico.ts'
import { configure, createNamespaces, linkLocalReady } from './netns.ts'
import type { CniResult } from './runtime.ts'

export const VPC_GATEWAY = { 4: '10.0.1.1', 6: 'fd00:10:0:1::1' } as const

export interface OvnNic extends Pod {
  readonly vpc: string
  readonly result: CniResult
}

/** Adds `net1` to a pod; its default routes only if they are asked for, with a metric that `ip route` takes. */
export async function ovnNic(pod: Pod, { defaults }: { defaults?: `metric ${number}` } = {}): Promise<OvnNic> {
  const { vpc } = await createNamespaces('vpc')
  await configure(
    vpc,
    `
    sysctl net.ipv6.conf.default.accept_dad=0
    link set lo up
    link add port type veth peer name net1 netns ${pod.netns}
    link set port up`,
  )
  await configure(
    pod.netns,
    `
    link set net1 up
    addr add 10.0.1.11/24 dev net1
    addr add fd00:10:0:1::11/64 dev net1 nodad
    ${defaults ? `${OVN_DEFAULTS[4]} ${defaults}\n${OVN_DEFAULTS[6]} ${defaults}` : ''}`,
  )
  await configure(
    vpc,
    `
    addr add ${VPC_GATEWAY[4]}/24 dev port
    addr add ${VPC_GATEWAY[6]}/64 dev port nodad
    addr add ${INTERNET[4]}/32 dev lo
    addr add ${INTERNET[6]}/128 dev lo`,
  )
  await Promise.all([linkLocalReady(pod.netns, 'net1'), linkLocalReady(vpc, 'port')])
  return { ...pod, ifname: 'net1', vpc, result: resultOf(pod) }
}

export const OVN_DEFAULTS = {
  4: `route add default via ${VPC_GATEWAY[4]} dev net1`,
  6: `route add ::/0 via ${VPC_GATEWAY[6]} dev net1`,
} as const

const resultOf = (pod: Pod): CniResult => ({
  cniVersion: '1.0.0',
  interfaces: [{ name: 'net1', sandbox: pod.path }],
  ips: [
    { interface: 0, address: '10.0.1.11/24' },
    { interface: 0, address: 'fd00:10:0:1::11/64' },
  ],
  routes: [{ dst: '10.0.1.0/24' }, { dst: 'fd00:10:0:1::/64' }],
  dns: {},
})
