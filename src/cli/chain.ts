import leven from 'leven'
import { readConfig } from '../config.ts'
import { CniError } from '../errors.ts'
import { effectiveConfig } from '../overrides.ts'
import { isObject, type NetConf, parseRequest } from '../request.ts'
import { parsePrevResult } from '../result.ts'
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
  return pluginsOf(placed).map(({ plugin }) => String(plugin.type))
}

export function networkOf({ placed, attachmentDefinition }: Configuration): string {
  const { name } = isObject(placed.value) ? placed.value : {}
  return attachmentDefinition ?? (typeof name === 'string' ? name : 'without name')
}

/** Every place that names this plugin. */
export function entriesOf({ placed }: Configuration): Entry[] {
  const { name, cniVersion } = isObject(placed.value) ? placed.value : {}
  return pluginsOf(placed).flatMap(({ plugin, path }) =>
    plugin.type === OURS ? { path, conf: { ...plugin, name, cniVersion } } : [],
  )
}

export function pluginsOf({ value }: Placed): Plugin[] {
  if (!isObject(value)) return []
  if (!Array.isArray(value.plugins)) return 'plugins' in value ? [] : [{ plugin: value, path: [] }]
  return value.plugins.flatMap((plugin, index) => (isObject(plugin) ? { plugin, path: ['plugins', index] } : []))
}

/** Says whatever is wrong with a configuration, as a runtime, the plugins before us and the plugin itself would. */
export function checkConfiguration(configuration: Configuration, say: Say): void {
  const { placed } = configuration
  if (!isObject(placed.value)) {
    say('error', [], 'must be an object with "cniVersion", "name" and "plugins"')
    return
  }
  const list = placed.value
  checkHead(list, placed, say)
  if ('plugins' in list) checkList(list, say)
  else checkAlone(configuration, list, say)
  checkCalico(list, pluginsOf(placed), say)
  const entries = entriesOf(configuration)
  for (const entry of entries) checkEntry(entry, placed, say)
  if (entries.length > 0) hints(typesOf(configuration), entries, say)
}

/** By the plugin's own words: what a runtime hands over has these keys from the list. */
function checkHead(list: NetConf, placed: Placed, say: Say): void {
  for (const document of [
    { name: list.name, cniVersion: '1.0.0' },
    { name: 'any', cniVersion: list.cniVersion },
  ]) {
    telling(say, placed, [], () => parseRequest({ CNI_COMMAND: 'ADD' }, document))
  }
  const types = pluginsOf(placed).map(({ plugin }) => plugin.type)
  if (list.cniVersion === '1.1.0' && types.includes('calico')) {
    say('error', ['cniVersion'], 'Calico refuses versions above 1.0.0; write "1.0.0"')
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
    if (KEY_NAMES.includes(key)) {
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
    types.push(String(type))
  }
  const [first, ...others] = types.flatMap((type, index) => (type === OURS ? index : []))
  if (first !== undefined && types.slice(0, first).every((type) => CHAINED.includes(type))) {
    const before = first === 0 ? 'comes first' : `comes after ${types.slice(0, first).join(', ')}, which make no NIC`
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

function checkAlone({ attachmentDefinition }: Configuration, conf: NetConf, say: Say): void {
  if (conf.type !== OURS) {
    if (typeof conf.type === 'string' && leven(conf.type.toLowerCase(), OURS) <= 3) {
      say('error', ['type'], `no plugin is known by the name of ${conf.type}; did you mean "${OURS}"?`)
    }
    return
  }
  const list = 'write a list, "plugins", and put it there after the plugin that makes the NIC (calico, kube-ovn, ...)'
  if (attachmentDefinition !== undefined) say('error', [], `${OURS} stands alone and has no NIC to work on; ${list}`)
  else if (conf.prevResult === undefined) say('note', [], `${OURS} stands alone; for a runtime ${list}`)
}

function checkEntry({ path, conf }: Entry, placed: Placed, say: Say): void {
  const own = { value: conf, at: placed.at }
  const read = readConfig(conf)
  if ('problems' in read) for (const problem of read.problems) sayProblem(say, problem, own, path)
  // Only where the configuration itself is right: they are read on top of it.
  else if (isObject(conf.args)) telling(say, own, path, () => effectiveConfig(conf))
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
