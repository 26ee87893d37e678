import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { OURS } from './chain.ts'
import { reading } from './files.ts'
import { netnsState } from './node-root.ts'
import { CACHES, readCaches } from './result-cache.ts'

/** Where runtimes take network configurations from, and where Multus looks for one that a NetworkAttachmentDefinition names. */
export const CONFIGURATIONS = ['/etc/cni/net.d', '/etc/cni/multus/net.d'] as const

/** @see https://github.com/containernetworking/cni/blob/main/libcni/conf.go ConfFiles */
const SUFFIXES = ['.conf', '.conflist', '.json']

/** In a plugin list, inside of Multus' "delegates", and also in a file that is no JSON any more. */
const NAMES_US = new RegExp(`"type"\\s*:\\s*"${OURS}"`)

const MOST_PODS = 5

/**
 * What on a node cannot do without the plugin, for a message; undefined if there is nothing.
 * @param root where the node's root directory is
 * @throws Trouble for a directory or a configuration that cannot be read
 */
export function usersOf(root: string): string | undefined {
  const files = CONFIGURATIONS.flatMap((directory) => configurationsIn(path.join(root, directory)))
  const pods = podsOf(root)
  const more = pods.length > MOST_PODS ? ` and ${pods.length - MOST_PODS} more` : ''
  const users = [
    ...(files.length > 0 ? [`in ${files.join(' and ')}`] : []),
    ...(pods.length > 0 ? [`by ${pods.slice(0, MOST_PODS).join(', ')}${more}`] : []),
  ]
  return users.length > 0 ? users.join(' and ') : undefined
}

function configurationsIn(directory: string): string[] {
  if (!existsSync(directory)) return []
  return reading(directory, () => readdirSync(directory))
    .filter((name) => SUFFIXES.includes(path.extname(name)))
    .map((name) => path.join(directory, name))
    .filter((file) => NAMES_US.test(reading(file, () => readFileSync(file, 'utf8'))))
    .sort()
}

/** A pod that is gone needs no plugin to be deleted; of one whose namespace nobody tells, nobody knows. */
function podsOf(root: string): string[] {
  const { attachments } = readCaches(CACHES.map((directory) => path.join(root, directory)))
  const living = attachments.filter(({ netns }) => netns === undefined || netnsState(root, netns) !== 'gone')
  return living.map(({ pod, container, ifname }) => `${ifname} of ${pod ?? container.slice(0, 12)}`)
}
