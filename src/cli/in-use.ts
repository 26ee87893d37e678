import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { OURS } from './chain.ts'
import { reading } from './files.ts'
import { readFound } from './found-file.ts'
import { netnsState } from './node-root.ts'
import { type Attachment, CACHES, readCaches } from './result-cache.ts'

/** Where runtimes take network configurations from, and where Multus looks for one that a NetworkAttachmentDefinition names. */
export const CONFIGURATIONS = ['/etc/cni/net.d', '/etc/cni/multus/net.d'] as const

/** @see https://github.com/containernetworking/cni/blob/main/libcni/conf.go ConfFiles */
const SUFFIXES = ['.conf', '.conflist', '.json']

/** In a plugin list, inside of Multus' "delegates", and also in a file that is no JSON any more. */
const NAMES_US = new RegExp(`"type"\\s*:\\s*"${OURS}"`)

const MOST_PODS = 5

/**
 * What on a node cannot do without the plugin, in words; nothing if it may be removed.
 * @param root where the node's root directory is
 * @throws Trouble for a directory or a configuration that cannot be read
 */
export function usersOf(root: string): string[] {
  const files = CONFIGURATIONS.flatMap((directory) => configurationsIn(path.join(root, directory)))
  const { attachments, unreadable } = readCaches(CACHES.map((directory) => path.join(root, directory)))
  const pods = attachments.filter((one) => isLiving(one, root)).map(nameOf)
  return [
    ...files.map((file) => `${file} names it`),
    ...unreadable.map(({ file, message }) => `${file} may name it, and is unreadable: ${message}`),
    ...(pods.length > 0 ? [`${listOf(pods)} ${pods.length > 1 ? 'have' : 'has'} it`] : []),
  ]
}

function configurationsIn(directory: string): string[] {
  if (!existsSync(directory)) return []
  return reading(directory, () => readdirSync(directory))
    .filter((name) => SUFFIXES.includes(path.extname(name)))
    .map((name) => path.join(directory, name))
    .filter((file) => reading(file, () => namesUs(file)))
    .sort()
}

function namesUs(file: string): boolean {
  // Neither a directory nor a link to nothing.
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true
  return isFile && NAMES_US.test(readFound(file, 'follow').toString())
}

/** A pod that is gone needs no plugin to be deleted; of one whose namespace nobody tells, nobody knows. */
function isLiving({ netns }: Attachment, root: string): boolean {
  return netns === undefined || netnsState(root, netns) !== 'gone'
}

function nameOf({ pod, container, ifname }: Attachment): string {
  return `${ifname} of ${pod ?? container.slice(0, 12)}`
}

function listOf(pods: readonly string[]): string {
  const more = pods.length - MOST_PODS
  return pods.slice(0, MOST_PODS).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
