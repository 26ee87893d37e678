import { isObject, type NetConf } from '../../cni/request.ts'
import { quote } from '../../errors.ts'
import { type Family, parsePrefix } from '../../net/address.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'
import type { Plugin } from './plugins.ts'

const ASSIGN = { assign_ipv4: 'an IPv4', assign_ipv6: 'an IPv6' } as const

/**
 * Reports what Calico refuses or ignores of its own "ipam".
 * @param ours the configuration calls x-calico-route, which has its own keys for routes
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/types/types.go IPAM: pointers to strings
 */
export function checkCalicoIpam(plugins: readonly Plugin[], ours: boolean, say: Say): void {
  for (const { ipam, path } of plugins.flatMap(ipamOf)) {
    for (const [key, address] of Object.entries(ASSIGN)) {
      const written = ipam[key]
      if (written === undefined || written === null || written === 'true' || written === 'false') continue
      if (typeof written !== 'string')
        say('XCR306', [...path, key], `must be a string, is ${quote(written)}; write "${written ? 'true' : 'false'}"`)
      else {
        const does = key === 'assign_ipv4' ? 'always assigns' : 'never assigns'
        const says = `Calico knows only "true" and "false" here: with ${quote(written)} it ${does} ${address} address`
        say('XCR307', [...path, key], `${says}; write one of these`)
      }
    }
    if (ours) checkRoutes(ipam, path, plugins, say)
  }
}

function ipamOf({ plugin, path }: Plugin): { ipam: NetConf; path: Path }[] {
  return plugin.type === 'calico' && isObject(plugin.ipam) ? [{ ipam: plugin.ipam, path: [...path, 'ipam'] }] : []
}

/** @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/k8s/k8s.go CmdAddK8s: routes of host-local only */
function checkRoutes({ type, routes }: NetConf, path: Path, plugins: readonly Plugin[], say: Say): void {
  if (!Array.isArray(routes) || routes.length === 0) return
  const at = [...path, 'routes']
  if (type === 'calico-ipam')
    say(
      'XCR310',
      at,
      'ignored: with calico-ipam Calico makes only a default route; write these in "routes" of x-calico-route',
      'key',
    )
  const isDefault = (route: unknown) => isObject(route) && typeof route.dst === 'string' && /\/0$/.test(route.dst)
  const keepsDefault = plugins.some(({ plugin }) => plugin.include_default_routes === true)
  if (type === 'host-local' && !keepsDefault && !routes.some(isDefault))
    say(
      'XCR311',
      at,
      'Calico makes these routes in place of a default route, and x-calico-route leaves them; write them in "routes" of x-calico-route',
      'key',
    )
}

/** Whether Calico's own IPAM gives a pod an address of a family; undefined if the addresses come from elsewhere. */
export function assigns(plugins: readonly Plugin[], family: Family): boolean | undefined {
  const ipam = plugins.flatMap(ipamOf)[0]?.ipam
  if (ipam?.type !== 'calico-ipam') return undefined
  return family === 4 ? ipam.assign_ipv4 !== 'false' : ipam.assign_ipv6 === 'true'
}

export type Annotations = Readonly<Record<string, unknown>>

export const FAMILIES = 'cni.projectcalico.org/ipFamilies'
const ADDRESSES = ['cni.projectcalico.org/ipAddrs', 'cni.projectcalico.org/ipAddrsNoIpam']

/** Whether the annotations of a pod bring it an address of a family. */
export function brings(annotations: Annotations, family: Family): boolean {
  const families = String(annotations[FAMILIES] ?? '')
  const addresses = ADDRESSES.map((key) => String(annotations[key] ?? '')).join('')
  return families.includes(`"IPv${family}"`) || (family === 6 ? addresses.includes(':') : /\d\.\d/.test(addresses))
}

/** Whether a pod with these annotations surely gets an address of a family from Calico. */
export function gives(plugins: readonly Plugin[], annotations: Annotations, family: Family): boolean {
  if ([FAMILIES, ...ADDRESSES].some((key) => key in annotations)) return brings(annotations, family)
  return assigns(plugins, family) ?? family === 4
}

/** The first key of an entry that needs an address of a family on the NIC. */
export function needsFamily({ path, conf }: Entry, family: Family): Path | undefined {
  const { routes, ovnGateway, missingFamily } = conf
  if (missingFamily === 'skip') return undefined
  const isOne = (route: unknown) =>
    isObject(route) && typeof route.dst === 'string' && !('dev' in route) && parsePrefix(route.dst)?.family === family
  const index = Array.isArray(routes) ? routes.findIndex(isOne) : -1
  if (index >= 0) return [...path, 'routes', index]
  const key = family === 4 ? 'ipv4' : 'ipv6'
  const asks = isObject(ovnGateway) && !('dev' in ovnGateway) && typeof ovnGateway[key] === 'string'
  return asks ? [...path, 'ovnGateway', key] : undefined
}
