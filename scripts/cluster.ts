/**
 * A Kubernetes of one node on this machine, and a shell on the node. When that ends, all of it is gone.
 *
 *   node scripts/cluster.ts
 */
import { Cluster } from '../test/cluster/cluster.ts'

const SAY = `
A Kubernetes with stand-ins for Calico, Multus and Kube-OVN, on a node of its own. kubectl reaches it, docker builds and
pushes to it, and this directory has the examples and the plugin. Install it as README.md says. exit removes it all.
`

const cluster = await Cluster.start()
console.log(SAY)
await cluster.shell()
await cluster.close()
