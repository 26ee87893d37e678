import { isObject, type NetConf } from '../../cni/request.ts'
import { type Config, readConfig } from '../../config/config.ts'
import { isKnown, misnamedKeys } from '../../config/misnamed-keys.ts'
import { type ReadSet, setsOf } from '../../config/route-sets.ts'
import { SCOPES } from '../../config/schema.ts'
import { listed } from '../../errors.ts'
import { parsePrefix } from '../../net/address.ts'
import { Scope } from '../../net/route.ts'
import { coveredPrefixes, coveredRoutes } from './covered.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'
import { SETS_CONFIG_MAP } from './set-texts.ts'
import { vmHints } from './vm-hints.ts'

/** What is known beside a configuration. */
export interface Known {
  /** A virtual machine uses this network. */
  readonly bridged: boolean
  readonly readSet: ReadSet
}

/** Reports what breaks no rule, but may not be what its author meant. */
export function hints(
  types: readonly string[],
  entries: readonly Entry[],
  say: Say,
  { bridged, readSet }: Known,
): void {
  for (const { path, conf } of entries) {
    const on: Say = (code, inner, message, what) => say(code, [...path, ...inner], message, what)
    unknownKeys(conf, on)
    capabilities(conf, on)
    overrides(conf, on, bridged)
    coveredPrefixes(conf, on)
    scopes(conf, on)
    const { config, entries: written } = readConfig(conf, [], setsOf(conf, readSet))
    if (!config) continue
    const unknown = written.filter(({ set, expansion }) => set !== undefined && expansion === undefined)
    for (const { path, set } of unknown) on('XCR209', ['routes', indexOf(path), 'set'], unknownSet(set))
    // A set is maintained elsewhere, perhaps for other networks too.
    coveredRoutes(
      config.routes.filter(({ set }) => set === undefined),
      on,
    )
    const mayAdd = config.routes.length > 0 || unknown.length > 0
    if (types.includes('calico') && entries.length === 1 && !mayAdd) nothingLeft(conf, config, on)
    if (conf.kubevirt === true || bridged) vmHints(config, types.includes('calico'), on)
  }
}

/** Of `routes[0]`. */
const indexOf = (path: string) => Number(/\d+/.exec(path))

const unknownSet = (set = '') =>
  `the prefixes of ${set} were not checked; give --sets DIR, or the ConfigMap ${SETS_CONFIG_MAP} among the files`

/** At the top level the plugin ignores unknown keys, because runtimes add their own, and refuses those that resemble ours. */
function unknownKeys(conf: NetConf, say: Say): void {
  for (const key of Object.keys(conf)) {
    if (!isKnown(key) && misnamedKeys({ [key]: true }).length === 0)
      say('XCR201', [key], 'unknown key, which is ignored', 'key')
  }
}

/** IPv6 routes have no scope in the kernel. `link` still says that there is no next hop. */
function scopes({ routes }: NetConf, say: Say): void {
  if (!Array.isArray(routes)) return
  for (const [index, route] of routes.entries()) {
    const { dst, scope } = isObject(route) ? route : {}
    if (typeof dst !== 'string' || parsePrefix(dst)?.family !== 6 || scope === undefined || scope === null) continue
    const number = typeof scope === 'string' ? SCOPES[scope] : scope
    if (number === Scope.link || number === Scope.global) continue
    const path: Path = ['routes', index, 'scope']
    say(
      'XCR205',
      path,
      'ignored, because IPv6 routes have no scope; remove it, or write "link" for a route without a next hop',
    )
  }
}

/** The pod keeps no route through Calico's NIC but the one to Calico's gateway. */
function nothingLeft({ overrides: written }: NetConf, { gateway, defaultRoute }: Config, say: Say): void {
  if (gateway || !Object.values(defaultRoute).includes('remove')) return
  const { allow } = isObject(written) ? written : {}
  if (Array.isArray(allow) && (allow.includes('routes') || allow.includes('ovnGateway'))) return
  say(
    'XCR208',
    [],
    'removes the default route and adds no route, so the pod reaches nothing through Calico; add "routes", or write "defaultRoute": "keep"',
  )
}

const MAX_NAMES = 10

function capabilities({ capabilities: written }: NetConf, say: Say): void {
  if (!isObject(written)) return
  const names = listed(Object.keys(written), MAX_NAMES).join(', ')
  const owner = 'mac' in written ? 'tuning' : 'the plugin that supports it'
  say('XCR202', ['capabilities'], `ignored: x-calico-route does not support ${names}; move it to ${owner}`, 'key')
}

function overrides({ overrides: written, kubevirt: vm }: NetConf, say: Say, bridged: boolean): void {
  const { allow, within } = isObject(written) ? written : {}
  if (!Array.isArray(allow) || allow.length === 0) return
  const places = [...new Set(allow)].filter((key) => key === 'routes' || key === 'ovnGateway')
  if (places.length > 0 && !(Array.isArray(within) && within.length > 0)) {
    say(
      'XCR203',
      ['overrides'],
      `within: missing, so ${places.join(' and ')} of a pod are always refused; write the prefixes that pods may use`,
    )
  }
  if (vm === true || bridged)
    say(
      'XCR204',
      ['overrides'],
      'of a VM, only the annotation v1.multus-cni.io/default-network brings cni-args here, beside "pod: {}"',
      'key',
    )
}
