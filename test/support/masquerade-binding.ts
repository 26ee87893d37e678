/**
 * KubeVirt's masquerade binding: the pod keeps its addresses and routes, and the guest is behind nftables' NAT.
 * @see https://github.com/kubevirt/kubevirt/blob/main/docs/network/networking.md
 */
import { execa } from 'execa'
import { configure, netnsPath } from './netns.ts'
import type { Site } from './ovn-nic.ts'

/** What every guest of this binding has, and its router; IPv6 by its own configuration, because KubeVirt advertises none. */
export const GUEST = { 4: '10.0.2.2', 6: 'fd10:0:2::2' } as const
export const BRIDGE = { 4: '10.0.2.1', 6: 'fd10:0:2::1' } as const

/** The table that virt-launcher makes for a guest without a list of ports. */
const nat = (family: 4 | 6) => `
table ${family === 4 ? 'ip' : 'ip6'} nat {
  chain KUBEVIRT_PREINBOUND { counter dnat to ${GUEST[family]}; }
  chain KUBEVIRT_POSTINBOUND {
    ${family === 4 ? 'ip saddr { 127.0.0.1 }' : 'ip6 saddr { ::1 }'} counter snat to ${BRIDGE[family]}
  }
  chain prerouting { type nat hook prerouting priority -100; iifname "eth0" counter jump KUBEVIRT_PREINBOUND; }
  chain input { type nat hook input priority 100; }
  chain output {
    type nat hook output priority -100
    ${family === 4 ? 'ip daddr { 127.0.0.1 }' : 'ip6 daddr { ::1 }'} counter dnat to ${GUEST[family]}
  }
  chain postrouting {
    type nat hook postrouting priority 100
    ${family === 4 ? 'ip' : 'ip6'} saddr ${GUEST[family]} counter masquerade
    oifname "k6t-eth0" counter jump KUBEVIRT_POSTINBOUND
  }
}`

/** Puts the guest behind eth0 of the pod. All its packets go by the pod's routes. */
export async function masquerade(pod: Site, guest: string): Promise<void> {
  await configure(
    pod.netns,
    `
    sysctl net.ipv4.ip_forward=1
    sysctl net.ipv6.conf.all.forwarding=1
    link add k6t-eth0 type bridge
    link add tap0 type veth peer name eth0 netns ${guest}
    link set tap0 master k6t-eth0
    link set tap0 up
    link set k6t-eth0 up
    addr add ${BRIDGE[4]}/24 dev k6t-eth0
    addr add ${BRIDGE[6]}/120 dev k6t-eth0 nodad`,
  )
  await configure(
    guest,
    `
    link set lo up
    link set eth0 up
    addr add ${GUEST[4]}/24 dev eth0
    addr add ${GUEST[6]}/120 dev eth0 nodad
    route add default via ${BRIDGE[4]}
    route add ::/0 via ${BRIDGE[6]}`,
  )
  await execa('nsenter', [`--net=${netnsPath(pod.netns)}`, 'nft', '-f', '-'], { input: nat(4) + nat(6) })
}
