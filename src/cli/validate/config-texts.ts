import { isObject } from '../../cni/request.ts'

/** A network configuration in a ConfigMap, such as Calico's `cni_network_config`. */
export interface ConfigText {
  readonly key: string
  readonly text: string
}

/** The values of a ConfigMap that are meant for a runtime. */
export function configTextsIn({ kind, data }: Readonly<Record<string, unknown>>): ConfigText[] {
  if (kind !== 'ConfigMap' || !isObject(data)) return []
  return Object.entries(data).flatMap(([key, text]) =>
    typeof text === 'string' && /^\s*\{/.test(text) && text.includes('"cniVersion"')
      ? [{ key, text: withNumbers(text) }]
      : [],
  )
}

/**
 * With a number for each placeholder that Calico's and Flannel's installers replace by one: `"mtu": __CNI_MTU__`. It is as
 * long as the placeholder, so that places stay.
 * @see https://github.com/projectcalico/calico/blob/master/manifests/calico.yaml cni_network_config
 */
function withNumbers(text: string): string {
  return text.replace(
    /([:[,]\s*)(__\w+__)/g,
    (_, before: string, placeholder: string) => before + '0'.padEnd(placeholder.length),
  )
}

/** Whether what was read of such a text is a network configuration, and not one of a daemon. */
export function isNetwork(value: unknown): boolean {
  return isObject(value) && (Array.isArray(value.plugins) || typeof value.type === 'string')
}
