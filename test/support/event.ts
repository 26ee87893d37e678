/** What becomes of the plugin's message on its way to whoever types `kubectl get events`. */

/** The API server takes no more of an event's message. @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ note */
const MOST = 1024

interface Named {
  readonly namespace: string
  readonly pod: string
  readonly network: string
}

/** A VM as virtual-machine.yaml makes it. A Deployment's pods may have names twice as long, of which nothing of ours is left. */
const VM: Named = { namespace: 'tenant', pod: 'virt-launcher-testvm-x7k2p', network: 'calico-vm' }

const CONTAINER = '5e6c3d48e76c438eedfae156ff296b22fc25800bb192bca0c5e93eeb117247da'
const UID = '8ba599e4-5217-4d9f-863a-47ad30bbcafb'
/** As containerd names one. */
const NETNS = '/var/run/netns/cni-6b56adca-52a8-4fb4-dd71-88c36d440d1d'

/**
 * The event of a pod that does not start: ours in the words of libcni, Multus' daemon, its shim, libcni again, containerd and kubelet.
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/tree/v4.3.0/pkg multus/multus.go cmdPluginErr, server/server.go
 * printCmdArgs and cmdAdd, server/api/api.go DoCNI, server/api/shim.go CmdAdd
 */
export function event(message: string, { namespace, pod, network }: Named = VM): string {
  const args = [
    `K8S_POD_INFRA_CONTAINER_ID=${CONTAINER}`,
    `K8S_POD_UID=${UID}`,
    'IgnoreUnknown=1',
    `K8S_POD_NAMESPACE=${namespace}`,
    `K8S_POD_NAME=${pod}`,
  ]
  const ours = `plugin type="x-calico-route" failed (add): ${message}`
  const ofNetwork = `[${namespace}/${pod}/${UID}:${network}]: error adding container to network "${network}": ${ours}`
  const ofPod = `error configuring pod [${namespace}/${pod}] networking: ${ofNetwork}`
  const call = `ContainerID:"${CONTAINER}" Netns:"${NETNS}" IfName:"eth0" Args:"${args.join(';')}" Path:""`
  const ofShim = `CmdAdd (shim): CNI request failed with status 400: '${call} ERRORED: ${ofPod}\n'`
  const ofRuntime = `failed to setup network for sandbox "${CONTAINER}": plugin type="multus-shim" name="multus-cni-network" failed (add): ${ofShim}`
  return `Failed to create pod sandbox: rpc error: code = Unknown desc = ${ofRuntime}`.slice(0, MOST)
}
