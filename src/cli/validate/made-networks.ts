import { isObject } from '../../cni/request.ts'
import type { Placed } from './position.ts'

/**
 * The names of the networks that an object has an operator define. In which namespaces depends on the operator.
 * @see https://github.com/k8snetworkplumbingwg/sriov-network-operator SriovNetwork, SriovIBNetwork, OVSNetwork
 * @see https://github.com/Mellanox/network-operator HostDeviceNetwork, IPoIBNetwork, MacvlanNetwork
 * @see https://github.com/ovn-kubernetes/ovn-kubernetes UserDefinedNetwork, ClusterUserDefinedNetwork
 * @see https://github.com/spidernet-io/spiderpool SpiderMultusConfig
 * @see https://github.com/openshift/api operator/v1 Network: additionalNetworks
 */
export function madeNetworks({ value }: Placed): string[] {
  if (!isObject(value) || typeof value.kind !== 'string' || !/Network$|^SpiderMultusConfig$/.test(value.kind)) return []
  const { metadata, spec } = value
  const more: unknown[] = isObject(spec) && Array.isArray(spec.additionalNetworks) ? spec.additionalNetworks : []
  return [metadata, ...more].flatMap((one) => (isObject(one) && typeof one.name === 'string' ? one.name : []))
}
