/**
 * Multus, Calico and Kube-OVN on a test's node, without their daemons: they take the projects' own configuration, so that
 * networks and pods of conf-examples/ and kind/ work as they are. Calico's pool is the node's own part of the pod network,
 * Kube-OVN's subnet the VPC of a real OVN. No NetworkPolicy is enforced.
 */
import { existsSync } from 'node:fs'
import { conflist, nic } from '../e2e/conflist.ts'
import { local, type TestNode } from '../e2e/node.ts'
import { kubeOvn, startOvn } from '../e2e/ovn.ts'
import { ACCESS, type Access } from '../e2e/plugins/api-server.ts'

const BUILT = local('../../.cache/e2e/bin')

/** Absent on a machine without Go, where `scripts/e2e-deps.sh` says so. */
export const standInsBuilt = existsSync(`${BUILT}/multus`)

// as Calico's installer writes it, less what needs plugins of its own
const CALICO = conflist('k8s-pod-network', '0.3.1', {
  type: 'calico',
  datastore_type: 'kubernetes',
  ipam: { type: 'calico-ipam', assign_ipv4: 'true', assign_ipv6: 'true' },
  policy: { type: 'k8s' },
  kubernetes: { kubeconfig: '/etc/cni/net.d/calico-kubeconfig' },
})

const MULTUS = conflist('multus-cni-network', '0.3.1', {
  type: 'multus',
  kubernetes: ACCESS,
  clusterNetwork: '/etc/cni/net.d/10-calico.conflist',
})

/** All of it but x-calico-route, and OVN. Copies, because a container may see the plugin directory and nothing else. */
export async function installStandIns(node: TestNode): Promise<void> {
  await node.run(['sh', '-ec', `cp ${BUILT}/* /usr/lib/cni/loopback /opt/cni/bin; rm /opt/cni/bin/cnitool`])
  await startOvn(node)
  // what the projects' daemons know, and networks do not say
  const { type: _, ...daemon } = kubeOvn([4, 6])
  for (const [plugin, argument] of Object.entries({ calico: nic.calico.ipam, 'kube-ovn': daemon })) {
    const script = local(`../e2e/plugins/${plugin}.ts`)
    const command = `exec '${process.execPath}' '${script}' '${JSON.stringify(argument)}'`
    node.write(`/opt/cni/bin/${plugin}`, `#!/bin/sh\n${command}\n`, 0o755)
  }
  node.write('/etc/cni/net.d/10-calico.conflist', CALICO)
  node.write('/etc/cni/net.d/00-multus.conflist', MULTUS)
}

/** Without it no pod is attached. The token's owner must be allowed to get pods and NetworkAttachmentDefinitions. */
export const giveAccess = (node: TestNode, access: Access): void => node.write(ACCESS, JSON.stringify(access), 0o600)
