import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

const DIRECTORY = new URL('../../conf-examples/', import.meta.url)

/** A network configuration as libcni would send it, less prevResult. */
export type NetConf = { cniVersion: string; name: string; type: string; [key: string]: unknown }

interface PluginList {
  cniVersion: string
  name: string
  plugins: { type: string }[]
}

export const EXAMPLES = readdirSync(DIRECTORY).filter((file) => file !== 'README.md')

export const textOf = (file: string): string => readFileSync(new URL(file, DIRECTORY), 'utf8')

export const directory = fileURLToPath(DIRECTORY)

/** The plugin lists and single configurations in a file, NetworkAttachmentDefinitions opened. */
function documents(file: string): (PluginList | NetConf)[] {
  if (!file.endsWith('.yaml')) return [JSON.parse(textOf(file))]
  return parseAllDocuments(textOf(file)).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]
    const { kind, spec } = document.toJS()
    if (kind !== 'NetworkAttachmentDefinition') throw new Error(`${file}: a ${kind} is not known here`)
    return JSON.parse(spec.config)
  })
}

/** What this plugin gets of an example: one configuration for each place in a chain that names it. */
export function configurations(file: string): NetConf[] {
  return documents(file).flatMap((document) => {
    if (!('plugins' in document)) return document
    const { plugins, cniVersion, name } = document as PluginList
    return plugins.filter(({ type }) => type === 'x-calico-route').map((plugin) => ({ ...plugin, cniVersion, name }))
  })
}
