import path from 'node:path'
import { reading } from '../files.ts'
import { readFound } from '../found-file.ts'
import { netnsState } from '../node-root.ts'
import { type Attachment, CACHES, readCaches } from '../result-cache.ts'
import { OURS } from '../validate/ours.ts'
import { NodeFiles } from './node-files.ts'

/** Where runtimes take network configurations from, and where Multus looks for one that a NetworkAttachmentDefinition names. */
export const CONFIGURATIONS = ['/etc/cni/net.d', '/etc/cni/multus/net.d'] as const

/** @see https://github.com/containernetworking/cni/blob/main/libcni/conf.go ConfFiles */
const SUFFIXES = ['.conf', '.conflist', '.json']

/** Finds us in a plugin list, in the "delegates" of Multus, and even in a file that is no longer valid JSON. */
const NAMES_US = new RegExp(`"type"\\s*:\\s*"${OURS}"`)

const MAX_PODS = 5

/**
 * What on a node still needs the plugin, in words; empty if it may be removed.
 * @param root where the node's root directory is mounted
 * @param configured where the node's runtimes look for configurations besides
 * @throws Trouble for a directory or a configuration that cannot be read
 */
export function usersOf(root: string, configured: readonly string[]): string[] {
  const node = new NodeFiles(root)
  const files = [...new Set([...CONFIGURATIONS, ...configured])]
    .flatMap((directory) => configurationsIn(node, directory))
    .map((file) => path.join(root, file))
  const { attachments, unreadable } = readCaches(CACHES.map((directory) => path.join(root, directory)))
  const pods = attachments.filter((one) => isLiving(one, root)).map(podText)
  return [
    ...files.map((file) => `${file} names it`),
    ...unreadable.map(({ file, message }) => `${file} may name it, but cannot be read: ${message}`),
    ...(pods.length > 0 ? [`${podsText(pods)} ${pods.length > 1 ? 'use' : 'uses'} it`] : []),
  ]
}

function configurationsIn(node: NodeFiles, directory: string): string[] {
  return (
    node
      .names(directory)
      .filter((name) => SUFFIXES.includes(path.extname(name)))
      .map((name) => path.join(directory, name))
      // Neither directories nor dangling links.
      .filter((file) => node.isFile(file) && reading(file, () => namesUs(node.here(file))))
  )
}

const namesUs = (file: string) => NAMES_US.test(readFound(file, 'follow').toString())

/** A pod without its namespace can be deleted without the plugin. Without a known namespace we assume that it lives. */
function isLiving({ netns }: Attachment, root: string): boolean {
  return netns === undefined || netnsState(root, netns) !== 'gone'
}

function podText({ pod, container, ifname }: Attachment): string {
  return `${ifname} of ${pod ?? container.slice(0, 12)}`
}

function podsText(pods: readonly string[]): string {
  const more = pods.length - MAX_PODS
  return pods.slice(0, MAX_PODS).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
