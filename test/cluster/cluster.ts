/**
 * A Kubernetes of one node, in namespaces of its own: nothing of the machine is touched, and all of it ends with the process that
 * has started it, whatever happens.
 */
import { type Ran, TestNode } from '../e2e/node.ts'
import { until } from '../support/until.ts'
import { bringCheckout, bringDocker, CHECKOUT } from './checkout.ts'
import { ACCESS_OF_PLUGINS, KUBECACHEDIR, kubeconfigOf, PROGRAMS, startControlPlane } from './control-plane.ts'
import { DEFINITIONS } from './definitions.ts'
import { boot, prepareNode } from './kubelet.ts'
import { giveAccess, installStandIns } from './stand-ins.ts'

const ENVIRONMENT = {
  PATH: `/opt/bin:${PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin`,
  KUBECONFIG: kubeconfigOf('admin'),
  KUBECACHEDIR,
}

export class Cluster {
  readonly node: TestNode

  private constructor(node: TestNode) {
    this.node = node
  }

  /** An API server with its controllers, and no node. */
  static async controlPlane(): Promise<Cluster> {
    const node = await TestNode.start(async (node) => {
      await bringCheckout(node)
      await startControlPlane(node)
    })
    return new Cluster(node).defined()
  }

  /** With a node, whose network are the stand-ins for Calico, Multus and Kube-OVN. */
  static async start(): Promise<Cluster> {
    const node = await TestNode.start(async (node) => {
      await prepareNode(node)
      await installStandIns(node)
      giveAccess(node, ACCESS_OF_PLUGINS)
      await bringCheckout(node)
      await bringDocker(node)
      await startControlPlane(node)
      await boot(node)
    })
    return new Cluster(node).defined()
  }

  /** Has the API server know the kinds of the projects that the manifests are about. */
  private async defined(): Promise<this> {
    const list = { apiVersion: 'v1', kind: 'List', items: DEFINITIONS }
    await this.type('kubectl create -f -', { input: JSON.stringify(list) })
    // It fails as long as one of them has no conditions at all.
    const wait = 'kubectl wait --for=condition=Established crd --all --timeout=10s'
    const established = async () => (await this.type(wait, { reject: false })).exitCode === 0
    await until(established, 30_000, () => 'the definitions')
    return this
  }

  /** What an operator types, in the directory of the project on the node. Fails if it fails, unless told otherwise. */
  type(script: string, { reject = true, input = '' }: { reject?: boolean; input?: string } = {}): Promise<Ran> {
    const options = { env: ENVIRONMENT, input, reject, timeout: 300_000 }
    return this.node.bash(`cd ${CHECKOUT}; ${script}`, options)
  }

  /** A shell for a person. */
  shell(): Promise<void> {
    return this.node.interact(['sh', '-c', `cd ${CHECKOUT}; PS1='cluster# ' exec bash --norc`], ENVIRONMENT)
  }

  close(): Promise<void> {
    return this.node.close()
  }
}
