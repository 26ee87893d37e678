import { isObject } from '../cni/request.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'

/** A plugin of a configuration, and where it stands. */
export interface Plugin {
  readonly plugin: Readonly<Record<string, unknown>>
  readonly path: Path
}

export function callsCalico(plugins: readonly Plugin[]): boolean {
  return plugins.some(({ plugin }) => plugin.type === 'calico')
}

/**
 * True if Calico keeps its endpoints in Kubernetes. It takes "datastore_type" of its configuration, else etcd if that tells of
 * endpoints, else Kubernetes; its documentation calls etcd the default.
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
 * Says where one configuration gives a pod two Calico NICs. The name of Calico's host veth is made of namespace and pod, and a
 * second ADD deletes the veth of that name.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/k8s/k8s.go CmdAddK8s
 */
export function checkCalico(value: unknown, plugins: readonly Plugin[], say: Say): void {
  const [first, ...others] = plugins.filter(({ plugin }) => plugin.type === 'calico')
  for (const { path } of others)
    say('error', path, `calico stands in plugins[${first?.path[1]}] already, and a pod has one Calico NIC; remove one`)
  // All delegates of Multus are for one pod.
  const delegates = isObject(value) && Array.isArray(value.delegates) ? value.delegates : []
  const [, ...more] = delegates.flatMap((one, index) => (hasCalico(one) ? [index] : []))
  for (const index of more)
    say('error', ['delegates', index], 'a second Calico network for the same pod, which has one Calico NIC; remove one')
}

function hasCalico(delegate: unknown): boolean {
  const plugins = isObject(delegate) && Array.isArray(delegate.plugins) ? delegate.plugins : [delegate]
  return plugins.some((plugin) => isObject(plugin) && plugin.type === 'calico')
}
