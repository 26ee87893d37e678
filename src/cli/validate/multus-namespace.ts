import { isObject } from '../../cni/request.ts'
import { isMultus } from './delegates.ts'
import type { Configuration } from './documents.ts'
import { pluginsOf } from './plugins.ts'
import type { Placed } from './position.ts'

/** Where Multus looks for a pod's first network without namespace, if its configuration says nothing else. */
export const MULTUS_NAMESPACE = 'kube-system'

/**
 * The namespaces that configurations of Multus name for that, be it in a file for a runtime or in a ConfigMap for its
 * daemon.
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/configuration.md multusNamespace
 */
export function multusNamespaces(configurations: readonly Configuration[], others: readonly Placed[]): string[] {
  const multus = [
    ...configurations.flatMap(({ placed }) => pluginsOf(placed).map(({ plugin }) => plugin)).filter(isMultus),
    ...others.flatMap(({ value }) => daemonsIn(value)),
  ]
  const named = multus.flatMap((one) => (typeof one.multusNamespace === 'string' ? one.multusNamespace : []))
  return named.length > 0 ? [...new Set(named)] : [MULTUS_NAMESPACE]
}

function daemonsIn(value: unknown): Readonly<Record<string, unknown>>[] {
  if (!isObject(value) || value.kind !== 'ConfigMap' || !isObject(value.data)) return []
  return Object.values(value.data).flatMap((text) => {
    if (typeof text !== 'string' || !text.includes('"multusNamespace"')) return []
    try {
      const read: unknown = JSON.parse(text)
      return isObject(read) ? [read] : []
    } catch {
      // What others keep in ConfigMaps need not be JSON.
      return []
    }
  })
}
