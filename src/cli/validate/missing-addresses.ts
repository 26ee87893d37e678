import { type Annotations, assigns, brings, FAMILIES, needsFamily } from './calico-ipam.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import type { Plugin } from './plugins.ts'

const KEYS = { 4: 'assign_ipv4', 6: 'assign_ipv6' } as const
/**
 * Reports routes of a family that Calico's IPAM gives a pod no address of: ADD refuses them.
 * @param asking the annotations of the pods among the files that ask for the network
 */
export function checkMissingAddresses(
  { plugins, entries }: { readonly plugins: readonly Plugin[]; readonly entries: readonly Entry[] },
  asking: readonly Annotations[],
  say: Say,
): void {
  for (const family of [4, 6] as const) {
    if (assigns(plugins, family) !== false) continue
    const path = entries.map((entry) => needsFamily(entry, family)).find((one) => one !== undefined)
    if (!path) continue
    const brought = asking.length > 0 && asking.every((annotations) => brings(annotations, family))
    const advice = `write "${KEYS[family]}": "true" in Calico's "ipam", or "missingFamily": "skip" here`
    if (brought)
      say('XCR309', path, `only pods with the annotation ${FAMILIES} or ipAddrs have an IPv${family} address`)
    else
      say(
        'XCR308',
        path,
        `Calico assigns no IPv${family} address, except to pods with the annotation ${FAMILIES}, so ADD refuses other pods; ${advice}`,
      )
  }
}
