import { isObject, type NetConf } from '../cni/request.ts'
import { type Config, readConfig } from '../config/config.ts'
import { isKnown, misnamedKeys } from '../config/misnamed-keys.ts'
import { SCOPES } from '../config/schema.ts'
import { listed } from '../errors.ts'
import { parsePrefix } from '../net/address.ts'
import { MAIN_TABLE, Scope } from '../net/route.ts'
import { isExplicit } from '../plan/next-hop.ts'
import { coveredPrefixes, coveredRoutes } from './covered.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'

/**
 * What is right by every rule, and may still not be what its writer meant.
 * @param bridged a virtual machine is known to have this network
 */
export function hints(types: readonly string[], entries: readonly Entry[], say: Say, bridged: boolean): void {
  for (const { path, conf } of entries) {
    const on: Say = (severity, inner, message, what) => say(severity, [...path, ...inner], message, what)
    unknownKeys(conf, on)
    capabilities(conf, on)
    overrides(conf, on, bridged)
    coveredPrefixes(conf, on)
    scopes(conf, on)
    const read = readConfig(conf)
    if ('problems' in read) continue
    coveredRoutes(read.config.routes, on)
    if (conf.kubevirt === true || bridged) kubevirt(read.config, types.includes('calico'), on)
  }
}

/** The plugin ignores what it does not know at the top, since runtimes put keys of theirs there. What resembles ours it refuses. */
function unknownKeys(conf: NetConf, say: Say): void {
  for (const key of Object.keys(conf)) {
    if (!isKnown(key) && misnamedKeys({ [key]: true }).length === 0) say('note', [key], 'unknown key, ignored', 'key')
  }
}

/** The kernel keeps none for IPv6. `link` still says that there is no next hop. */
function scopes({ routes }: NetConf, say: Say): void {
  if (!Array.isArray(routes)) return
  for (const [index, route] of routes.entries()) {
    const { dst, scope } = isObject(route) ? route : {}
    if (typeof dst !== 'string' || parsePrefix(dst)?.family !== 6 || scope === undefined || scope === null) continue
    const number = typeof scope === 'string' ? SCOPES[scope] : scope
    if (number === Scope.link || number === Scope.global) continue
    const path: Path = ['routes', index, 'scope']
    say(
      'warning',
      path,
      'IPv6 routes have no scope, so that this is ignored; leave it out, or write "link" for a route without next hop',
    )
  }
}

const MOST_NAMES = 10

function capabilities({ capabilities: written }: NetConf, say: Say): void {
  if (!isObject(written)) return
  const names = listed(Object.keys(written), MOST_NAMES).join(', ')
  const owner = 'mac' in written ? 'tuning' : 'the plugin that has it'
  say('warning', ['capabilities'], `ignored; x-calico-route has no capability ${names}; it belongs to ${owner}`, 'key')
}

function overrides({ overrides: written, kubevirt: vm }: NetConf, say: Say, bridged: boolean): void {
  const { allow, within } = isObject(written) ? written : {}
  if (!Array.isArray(allow) || allow.length === 0) return
  const places = [...new Set(allow)].filter((key) => key === 'routes' || key === 'ovnGateway')
  if (places.length > 0 && !(Array.isArray(within) && within.length > 0)) {
    say(
      'warning',
      ['overrides'],
      `within: missing; without prefixes there, ${places.join(' and ')} of a pod are always refused`,
    )
  }
  if (vm === true || bridged)
    say('note', ['overrides'], 'KubeVirt hands no cni-args on: for a VM this changes nothing', 'key')
}

/** What the bridge binding makes of a VM's routes, as far as it can be told without the pod. */
function kubevirt({ routes, defaultRoute }: Config, afterCalico: boolean, say: Say): void {
  if (defaultRoute[4] === 'demote') {
    say('note', ['defaultRoute'], 'a demoted IPv4 default is still a default to KubeVirt, which hands it to the VM')
  }
  for (const [index, route] of routes.entries()) {
    const path: Path = ['routes', index]
    if (route.family === 6) say('note', path, 'KubeVirt hands no IPv6 route to a VM; cloud-init may')
    else if (route.table !== MAIN_TABLE) say('note', path, 'KubeVirt hands no route of another table than main to a VM')
    else if (afterCalico && !(isExplicit(route) && route.gw === undefined)) {
      say(
        'note',
        path,
        'DHCP clients that apply routes in order refuse this one, whose gateway comes last; write "scope": "link"',
      )
    }
  }
}
