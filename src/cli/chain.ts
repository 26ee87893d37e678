import leven from 'leven'
import { isObject, NEWEST_VERSION, type NetConf, parseRequest } from '../cni/request.ts'
import { parsePrevResult } from '../cni/result.ts'
import { isKnown, meantBy } from '../config/misnamed-keys.ts'
import { readEffective } from '../config/overrides.ts'
import { type ReadSet, UNKNOWN_SETS } from '../config/route-sets.ts'
import { CniError, listed, quote } from '../errors.ts'
import { checkCalico, type Plugin } from './calico.ts'
import type { Configuration, Entry } from './documents.ts'
import { type Say, sayProblem } from './finding.ts'
import { hints, type Known } from './hints.ts'
import type { Path } from './json.ts'
import { KEY_NAMES } from './keys.ts'
import type { Placed } from './position.ts'

export const OURS = 'x-calico-route'

/** The types of the plugins that a configuration calls, in order. */
export function typesOf({ placed }: Configuration): string[] {
  return pluginsOf(placed).map(({ plugin }) => typeText(plugin.type))
}

/** No executable has a longer name. @see limits.h NAME_MAX */
const MAX_TYPE_LENGTH = 255

function typeText(type: unknown): string {
  return typeof type === 'string' && type.length <= MAX_TYPE_LENGTH ? type : quote(type)
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
 * What a runtime puts into the configuration of every plugin of a list: Multus fills in a missing name, and libcni takes
 * the newest of the listed versions that it knows.
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
 * Reports what a runtime, the other plugins of the list or this plugin would refuse or misread in a configuration.
 */
export function checkConfiguration(
  configuration: Configuration,
  say: Say,
  { bridged = false, readSet = UNKNOWN_SETS }: Partial<Known> = {},
): void {
  const { placed } = configuration
  if (!isObject(placed.value)) {
    say('XCR101', [], 'must be an object with "cniVersion", "name" and "plugins"')
    return
  }
  const list = placed.value
  checkHead(configuration, list, say)
  if ('plugins' in list) checkList(list, say)
  else checkAlone(configuration, list, say)
  checkCalico(list, pluginsOf(placed), say)
  const entries = entriesOf(configuration)
  for (const entry of entries) checkEntry(entry, placed, say, readSet)
  if (entries.length > 0) hints(typesOf(configuration), entries, say, { bridged, readSet })
}

/** Has the plugin itself check the keys that a runtime copies from the list to each plugin. */
function checkHead(configuration: Configuration, list: NetConf, say: Say): void {
  const { placed } = configuration
  const { name, cniVersion } = headOf(configuration)
  const types = typesOf(configuration)
  // Without this plugin, only others read them, and many take a missing version for the oldest.
  const ours = types.includes(OURS)
  const tell = (document: object) => sayRefusal(say, placed, [], () => parseRequest({ CNI_COMMAND: 'ADD' }, document))
  if (ours || !configuration.base) tell({ name, cniVersion: '1.0.0' })
  if (ours || (cniVersion !== undefined && typeof cniVersion !== 'string')) tell({ name: 'any', cniVersion })
  if (cniVersion === '1.1.0' && types.includes('calico')) {
    const key = list.cniVersion === cniVersion ? 'cniVersion' : 'cniVersions'
    say('XCR108', [key], 'Calico refuses versions above 1.0.0; write "1.0.0"')
  }
  if (list.disableCheck === true) {
    say('XCR109', ['disableCheck'], 'no runtime will CHECK the routes; "x-calico-route verify" still does', 'key')
  }
}

function checkList(list: NetConf, say: Say): void {
  const { plugins } = list
  if (!Array.isArray(plugins) || plugins.length === 0) {
    say('XCR101', ['plugins'], 'must be a list of plugins')
    return
  }
  for (const key of Object.keys(list)) {
    if (KEY_NAMES.includes(key) || (!isKnown(key) && meantBy(key) !== undefined)) {
      say('XCR105', [key], `ignored here; move it into the ${OURS} entry of "plugins"`, 'key')
    }
  }
  for (const [index, plugin] of plugins.entries()) checkType(plugin, ['plugins', index], say)
  checkOrder(
    plugins.map((plugin) => typeText(isObject(plugin) ? plugin.type : undefined)),
    say,
  )
}

function checkType(plugin: unknown, path: Path, say: Say): void {
  if (!isObject(plugin)) {
    say('XCR101', path, 'must be an object with "type"')
    return
  }
  const { type } = plugin
  if (type === undefined) say('XCR101', path, `type: ${MISSING_TYPE}`)
  else if (typeof type !== 'string' || type === '')
    say('XCR101', [...path, 'type'], 'must be the name of an executable')
  else if (isMisspelt(type)) say('XCR102', [...path, 'type'], misspelt(type))
}

const MISSING_TYPE = 'missing; write the name of the executable of the plugin'

const isMisspelt = (type: string) => type !== OURS && leven(type.toLowerCase(), OURS) <= 3

const misspelt = (type: string) => `unknown plugin "${type}"; did you mean "${OURS}"?`

/** Reports an order of plugins in which we have no NIC to work on, or in which others undo our work. */
function checkOrder(types: readonly string[], say: Say): void {
  const [first, ...others] = types.flatMap((type, index) => (type === OURS ? index : []))
  if (first === undefined) return
  const before = types.slice(0, first)
  if (before.every((type) => CHAINED.includes(type))) {
    const where =
      first === 0 ? 'comes first' : `comes after ${listed(before, MAX_TYPES).join(', ')}, before any NIC is made`
    say(
      'XCR103',
      ['plugins', first],
      `${OURS} ${where}; put it after the plugin that makes the NIC (calico, kube-ovn, ...)`,
    )
  }
  for (const index of others) {
    const message = `${OURS} is already plugins[${first}] and works on the same NIC; write all keys there`
    say('XCR106', ['plugins', index], message)
  }
  for (const [index, type] of types.entries()) {
    const movedBy = MOVERS[type]
    if (index > first && movedBy !== undefined)
      say('XCR107', ['plugins', index], `${type} ${movedBy} after ${OURS} has made them; put ${OURS} after it`)
  }
}

/** How many types of a chain a message names. */
export const MAX_TYPES = 20

/** The reference plugins that change a NIC but do not make one. */
const CHAINED = ['bandwidth', 'firewall', 'portmap', 'route-override', 'sbr', 'tuning', 'vrf']

/**
 * Plugins that undo our work. tuning does not: since 0.8.2 it changes a MAC address without setting the NIC down.
 * @see https://github.com/containernetworking/plugins plugins/meta
 */
const MOVERS: Readonly<Record<string, string>> = {
  sbr: 'moves the routes of the NIC to another table',
  vrf: 'moves the NIC and its routes to another table',
  'route-override': 'changes the routes of the NIC',
}

function checkAlone({ attachmentDefinition, base }: Configuration, conf: NetConf, say: Say): void {
  const { type } = conf
  if (type === undefined || type === '') say('XCR101', [], `type: ${MISSING_TYPE}`)
  if (type !== OURS) {
    if (typeof type === 'string' && isMisspelt(type)) say('XCR102', ['type'], misspelt(type))
    return
  }
  const list = 'write a list, "plugins", with it after the plugin that makes the NIC (calico, kube-ovn, ...)'
  if (attachmentDefinition !== undefined || base)
    say('XCR103', [], `${OURS} is alone and has no NIC to work on; ${list}`)
  else if (conf.prevResult === undefined) say('XCR104', [], `${OURS} is alone; for a runtime, ${list}`)
}

function checkEntry({ path, conf }: Entry, placed: Placed, say: Say, readSet: ReadSet): void {
  const own = { value: conf, at: placed.at }
  const read = readEffective(conf, readSet)
  if ('problems' in read) for (const problem of read.problems) sayProblem(say, problem, own, path)
  if (conf.prevResult !== undefined) sayRefusal(say, own, path, () => parsePrevResult(conf.prevResult))
}

function sayRefusal(say: Say, placed: Placed, base: Path, check: () => unknown): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const { message, details } = error
    sayProblem(say, details === undefined ? message : `${message}; ${details}`, placed, base)
  }
}
