/** What the demonstration needs of the kernel. What it needs of the machine, scripts/sandbox.sh says. */
import type { Family } from '../../test/support/calico.ts'
import { configure, createNamespaces, removeNamespace } from '../../test/support/netns.ts'
import { warn } from './report.ts'

/** The address families that a new network namespace has here. @throws Error if the kernel cannot make a NIC for a pod */
export async function familiesHere(): Promise<readonly Family[]> {
  const { probe } = await createNamespaces('probe')
  try {
    await configure(probe, 'link add one type veth peer name other')
  } catch {
    throw new Error(
      'the kernel cannot make veth pairs; run: modprobe veth (on Ubuntu it is in linux-modules-extra-$(uname -r))',
    )
  }
  try {
    await configure(probe, 'addr add fd00::1/64 dev one nodad')
    return [4, 6]
  } catch {
    warn('this kernel has no IPv6, or sysctl net.ipv6.conf.*.disable_ipv6 is 1; IPv4 only')
    return [4]
  } finally {
    removeNamespace(probe)
  }
}
