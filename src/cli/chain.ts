import leven from 'leven'
import { isObject, NEWEST_VERSION, type NetConf, parseRequest } from '../cni/request.ts'
import { parsePrevResult } from '../cni/result.ts'
import { isKnown, meantBy } from '../config/misnamed-keys.ts'
import { readEffective } from '../config/overrides.ts'
import { CniError, listed, quote } from '../errors.ts'
import { checkCalico, type Plugin } from './calico.ts'
import type { Configuration, Entry } from './documents.ts'
import { type Say, sayProblem } from './finding.ts'
import { hints } from './hints.ts'
import type { Path } from './json.ts'
import { KEY_NAMES } from './keys.ts'
import type { Placed } from './position.ts'

export const OURS = 'x-calico-route'

/** The types of the plugins that a configuration calls, in their order. */
export function typesOf({ placed }: Configuration): string[] {
  return pluginsOf(placed).map(({ plugin }) => typeText(plugin.type))
}

/** Of a file: NAME_MAX of the kernel. No executable has a longer one. */
const LONGEST_NAME = 255

function typeText(type: unknown): string {
  return typeof type === 'string' && type.length <= LONGEST_NAME ? type : quote(type)
}

export function networkOf(configuration: Configuration): string {
  const { name } = headOf(configuration)
  return configuration.attachmentDefinition ?? (typeof name === 'string' ? name : 'without name')
}

/** Every place that names this plugin. */
export function entriesOf(configuration: Configuration): Entry[] {
  const head = headOf(configuration)
  return pluginsOf(configuration.placed).flatMap(({ plugin, path }) =>
    plugin.type === OURS ? { path, conf: { ...plugin, ...head } } : [],
  )
}

/**
 * What a runtime hands to every plugin of a configuration: Multus fills in the name that is missing, libcni takes the newest
 * version it knows of those listed.
 * @see https://github.com/k8snetworkplumbingwg/network-attachment-definition-client pkg/utils/cniconfig.go GetCNIConfigFromSpec
 * @see https://github.com/containernetworking/cni/blob/main/libcni/conf.go NetworkConfFromBytes
 */
function headOf({ placed: { value }, definitionName }: Configuration): { name: unknown; cniVersion: unknown } {
  const { name, cniVersion, cniVersions } = isObject(value) ? value : {}
  const known: unknown[] = Array.isArray(cniVersions) ? cniVersions : []
  return {
    name: name === undefined || name === '' ? definitionName : name,
    cniVersion: [...known, cniVersion].filter(isKnownVersion).reduce(newer, '') || cniVersion,
  }
}

const { compare: byNumber } = new Intl.Collator('en', { numeric: true })

const newer = (a: string, b: string) => (byNumber(a, b) > 0 ? a : b)

function isKnownVersion(version: unknown): version is string {
  return typeof version === 'string' && /^\d+\.\d+\.\d+$/.test(version) && byNumber(version, NEWEST_VERSION) <= 0
}

export function pluginsOf({ value }: Placed): Plugin[] {
  if (!isObject(value)) return []
  if (!Array.isArray(value.plugins)) return 'plugins' in value ? [] : [{ plugin: value, path: [] }]
  return value.plugins.flatMap((plugin, index) => (isObject(plugin) ? { plugin, path: ['plugins', index] } : []))
}

/**
 * Says whatever is wrong with a configuration, as a runtime, the plugins before us and the plugin itself would.
 * @param bridged a virtual machine is known to have it
 */
export function checkConfiguration(configuration: Configuration, say: Say, bridged = false): void {
  const { placed } = configuration
  if (!isObject(placed.value)) {
    say('error', [], 'must be an object with "cniVersion", "name" and "plugins"')
    return
  }
  const list = placed.value
  checkHead(configuration, list, say)
  if ('plugins' in list) checkList(list, say)
  else checkAlone(configuration, list, say)
  checkCalico(list, pluginsOf(placed), say)
  const entries = entriesOf(configuration)
  for (const entry of entries) checkEntry(entry, placed, say)
  if (entries.length > 0) hints(typesOf(configuration), entries, say, bridged)
}

/** By the plugin's own words: what a runtime hands over has these keys from the list. */
function checkHead(configuration: Configuration, list: NetConf, say: Say): void {
  const { placed } = configuration
  const { name, cniVersion } = headOf(configuration)
  const types = typesOf(configuration)
  // Where we are not, others read them: many take a version that is missing for the first one.
  const ours = types.includes(OURS)
  const tell = (document: object) => telling(say, placed, [], () => parseRequest({ CNI_COMMAND: 'ADD' }, document))
  if (ours || !configuration.base) tell({ name, cniVersion: '1.0.0' })
  if (ours || (cniVersion !== undefined && typeof cniVersion !== 'string')) tell({ name: 'any', cniVersion })
  if (cniVersion === '1.1.0' && types.includes('calico')) {
    const key = list.cniVersion === cniVersion ? 'cniVersion' : 'cniVersions'
    say('error', [key], 'Calico refuses versions above 1.0.0; write "1.0.0"')
  }
  if (list.disableCheck === true) {
    say('note', ['disableCheck'], 'no runtime will CHECK the routes; "x-calico-route verify" still does', 'key')
  }
}

function checkList(list: NetConf, say: Say): void {
  const { plugins } = list
  if (!Array.isArray(plugins) || plugins.length === 0) {
    say('error', ['plugins'], 'must be a list of plugins')
    return
  }
  for (const key of Object.keys(list)) {
    if (KEY_NAMES.includes(key) || (!isKnown(key) && meantBy(key) !== undefined)) {
      say('warning', [key], `ignored here; it belongs into the entry of "plugins" that is ${OURS}`, 'key')
    }
  }
  const types: string[] = []
  for (const [index, plugin] of plugins.entries()) {
    const path = ['plugins', index]
    const type = isObject(plugin) ? plugin.type : undefined
    if (!isObject(plugin)) say('error', path, 'must be an object with "type"')
    else if (type === undefined) say('error', path, 'type: missing; it names the executable of the plugin')
    else if (typeof type !== 'string' || type === '')
      say('error', [...path, 'type'], 'must be the name of an executable')
    else if (type !== OURS && leven(type.toLowerCase(), OURS) <= 3) {
      say('error', [...path, 'type'], `no plugin is known by the name of ${type}; did you mean "${OURS}"?`)
    }
    types.push(typeText(type))
  }
  const [first, ...others] = types.flatMap((type, index) => (type === OURS ? index : []))
  if (first !== undefined && types.slice(0, first).every((type) => CHAINED.includes(type))) {
    const before =
      first === 0
        ? 'comes first'
        : `comes after ${listed(types.slice(0, first), MOST_TYPES).join(', ')}, which make no NIC`
    say(
      'error',
      ['plugins', first],
      `${OURS} ${before}; put it after the plugin that makes the NIC (calico, kube-ovn, ...)`,
    )
  }
  for (const index of others) {
    say(
      'warning',
      ['plugins', index],
      `${OURS} stands in plugins[${first}] already and works on the same NIC; write all keys there`,
    )
  }
  for (const [index, type] of types.entries()) {
    const movedBy = MOVERS[type]
    if (first !== undefined && index > first && movedBy !== undefined) {
      say('warning', ['plugins', index], `${type} ${movedBy} after ${OURS} has made them; put ${OURS} behind it`)
    }
  }
}

/** Nobody has a longer chain. */
export const MOST_TYPES = 20

/** Of the reference plugins those that change a NIC and make none. */
const CHAINED = ['bandwidth', 'firewall', 'portmap', 'route-override', 'sbr', 'tuning', 'vrf']

/**
 * What undoes our work. Not so tuning: since 0.8.2 it changes a MAC without setting the NIC down.
 * @see https://github.com/containernetworking/plugins plugins/meta
 */
const MOVERS: Readonly<Record<string, string>> = {
  sbr: 'moves the routes of the NIC to another table',
  vrf: 'moves the NIC and its routes to another table',
  'route-override': 'changes the routes of the NIC',
}

function checkAlone({ attachmentDefinition, base }: Configuration, conf: NetConf, say: Say): void {
  const { type } = conf
  if (type === undefined || type === '') say('error', [], 'type: missing; it names the executable of the plugin')
  if (type !== OURS) {
    if (typeof type === 'string' && leven(type.toLowerCase(), OURS) <= 3) {
      say('error', ['type'], `no plugin is known by the name of ${type}; did you mean "${OURS}"?`)
    }
    return
  }
  const list = 'write a list, "plugins", and put it there after the plugin that makes the NIC (calico, kube-ovn, ...)'
  if (attachmentDefinition !== undefined || base)
    say('error', [], `${OURS} stands alone and has no NIC to work on; ${list}`)
  else if (conf.prevResult === undefined) say('note', [], `${OURS} stands alone; for a runtime ${list}`)
}

function checkEntry({ path, conf }: Entry, placed: Placed, say: Say): void {
  const own = { value: conf, at: placed.at }
  const read = readEffective(conf)
  if ('problems' in read) for (const problem of read.problems) sayProblem(say, problem, own, path)
  if (conf.prevResult !== undefined) telling(say, own, path, () => parsePrevResult(conf.prevResult))
}

function telling(say: Say, placed: Placed, base: Path, check: () => unknown): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const { message, details } = error
    sayProblem(say, details === undefined ? message : `${message}; ${details}`, placed, base)
  }
}
