import { isObject, NEWEST_VERSION } from '../../cni/request.ts'
import { quote } from '../../errors.ts'
import type { Configuration, Entry } from './documents.ts'
import type { Path } from './json.ts'
import { OURS } from './ours.ts'
import type { Placed } from './position.ts'

/** How many types of a chain a message names. */
export const MAX_TYPES = 20

/** A plugin of a configuration, and its path there. */
export interface Plugin {
  readonly plugin: Readonly<Record<string, unknown>>
  readonly path: Path
}

/** The types of the plugins that a configuration calls, in order. */
export function typesOf({ placed }: Configuration): string[] {
  return pluginsOf(placed).map(({ plugin }) => typeText(plugin.type))
}

/** No executable has a longer name. @see limits.h NAME_MAX */
const MAX_TYPE_LENGTH = 255

export function typeText(type: unknown): string {
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
export function headOf({ placed: { value }, definitionName }: Configuration): { name: unknown; cniVersion: unknown } {
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
