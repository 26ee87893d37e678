import leven from 'leven'
import { isObject, type NetConf, parseRequest } from '../../cni/request.ts'
import { parsePrevResult } from '../../cni/result.ts'
import { isKnown, meantBy } from '../../config/misnamed-keys.ts'
import { readEffective } from '../../config/overrides.ts'
import { type ReadSet, UNKNOWN_SETS } from '../../config/route-sets.ts'
import { CniError } from '../../errors.ts'
import { checkCalico } from './calico.ts'
import { checkCalicoIpam } from './calico-ipam.ts'
import type { Configuration, Entry } from './documents.ts'
import { type Say, sayProblem } from './finding.ts'
import { hints, type Known } from './hints.ts'
import type { Path } from './json.ts'
import { KEY_NAMES } from './keys.ts'
import { checkIpv6Off, checkOrder } from './order.ts'
import { OURS } from './ours.ts'
import { entriesOf, headOf, pluginsOf, typesOf, typeText } from './plugins.ts'

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
  const plugins = pluginsOf(placed)
  const entries = entriesOf(configuration)
  checkCalico(list, plugins, say)
  checkCalicoIpam(plugins, entries.length > 0, say)
  checkIpv6Off(plugins, entries, say)
  for (const entry of entries) checkEntry(entry, say, readSet)
  if (entries.length > 0) hints(typesOf(configuration), entries, say, { bridged, readSet })
}

/** Has the plugin itself check the keys that a runtime copies from the list to each plugin. */
function checkHead(configuration: Configuration, list: NetConf, say: Say): void {
  const { placed } = configuration
  const { name, cniVersion } = headOf(configuration)
  const types = typesOf(configuration)
  // Without this plugin, only others read them, and many take a missing version for the oldest.
  const ours = types.includes(OURS)
  const tell = (document: object) =>
    sayRefusal(say, placed.value, [], () => parseRequest({ CNI_COMMAND: 'ADD' }, document))
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

function checkEntry({ path, conf }: Entry, say: Say, readSet: ReadSet): void {
  const read = readEffective(conf, readSet)
  if ('problems' in read) for (const problem of read.problems) sayProblem(say, problem, conf, path)
  if (conf.prevResult !== undefined) sayRefusal(say, conf, path, () => parsePrevResult(conf.prevResult))
}

function sayRefusal(say: Say, value: unknown, base: Path, check: () => unknown): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const { message, details } = error
    sayProblem(say, details === undefined ? message : `${message}; ${details}`, value, base)
  }
}
