import { isObject } from '../../cni/request.ts'
import type { Say } from './finding.ts'
import type { Plugin } from './plugins.ts'

export function callsCalico(plugins: readonly Plugin[]): boolean {
  return plugins.some(({ plugin }) => plugin.type === 'calico')
}

/**
 * True if Calico keeps its endpoints in Kubernetes. It goes by "datastore_type"; without that, it takes etcd if the
 * configuration names etcd endpoints, and Kubernetes otherwise. Its documentation calls etcd the default.
 * @see https://github.com/projectcalico/calico/blob/master/libcalico-go/lib/apiconfig/load.go applyConfigDefaults
 */
export function storesInKubernetes(plugins: readonly Plugin[]): boolean {
  return plugins.some(({ plugin }) => {
    if (plugin.type !== 'calico') return false
    const { datastore_type: written } = plugin
    if (typeof written === 'string' && written !== '') return written === 'kubernetes'
    return !Object.keys(plugin).some((key) => key.startsWith('etcd_'))
  })
}

/**
 * Reports a configuration that gives a pod two Calico NICs. Calico names its host veth after the namespace and name of
 * the pod, and a second ADD deletes the veth of that name.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/k8s/k8s.go CmdAddK8s
 */
export function checkCalico(value: unknown, plugins: readonly Plugin[], say: Say): void {
  const [first, ...others] = plugins.filter(({ plugin }) => plugin.type === 'calico')
  for (const { path } of others)
    say(
      'XCR301',
      path,
      `calico is already plugins[${first?.path[1]}], and a pod can have only one Calico NIC; remove one of them`,
    )
  // Multus calls all its delegates for the same pod.
  const delegates = isObject(value) && Array.isArray(value.delegates) ? value.delegates : []
  const [, ...more] = delegates.flatMap((one, index) => (hasCalico(one) ? [index] : []))
  for (const index of more)
    say(
      'XCR301',
      ['delegates', index],
      'is the second Calico network of the same pod, which can have only one Calico NIC; remove one of them',
    )
}

function hasCalico(delegate: unknown): boolean {
  const plugins = isObject(delegate) && Array.isArray(delegate.plugins) ? delegate.plugins : [delegate]
  return plugins.some((plugin) => isObject(plugin) && plugin.type === 'calico')
}
