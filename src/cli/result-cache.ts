import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { isObject, type NetConf } from '../cni/request.ts'
import { messageOf } from '../errors.ts'
import { OURS } from './chain.ts'
import { reading, wordsFor } from './files.ts'
import { readFound } from './found-file.ts'
import { onThisSide } from './node-root.ts'

/**
 * What libcni remembers of every ADD for later calls, `NETWORK-CONTAINER-IFNAME` below a directory of the runtime; Multus has its
 * own copy of libcni, with a directory of its own.
 * @see https://github.com/containernetworking/cni/blob/main/libcni/api.go cachedInfo
 */
export const CACHES = ['/var/lib/cni/results', '/var/lib/cni/multus/results'] as const

/** An attachment that this plugin has worked on. */
export interface Attachment extends Attached {
  /** Its cache entry. */
  readonly file: string
  readonly container: string
  /** As the node knows it. Absent: libcni before 1.2 does not write it, and no Result tells. */
  readonly netns?: string
}

interface Attached {
  /** `namespace/name`, from CNI_ARGS. */
  readonly pod?: string
  readonly network: string
  readonly ifname: string
  /** The type of the first plugin of the chain. */
  readonly maker?: string
}

export interface Unreadable {
  readonly file: string
  readonly message: string
}

export interface Cache {
  readonly attachments: readonly Attachment[]
  readonly unreadable: readonly Unreadable[]
}

/** What an entry tells. */
export interface Entry {
  readonly container: string
  readonly netns?: string
  /** Absent: its chain is without this plugin. */
  readonly attached?: Attached
}

/** What came of reading an entry; null: it was removed meanwhile, since its pod is being deleted. */
export type Read = { readonly entry: Entry } | { readonly unreadable: string } | null

/** Every attachment that the directories tell of. @throws Trouble for a directory that cannot be read */
export function readCaches(directories: readonly string[]): Cache {
  const files = entriesIn(directories)
  return cacheOf(files, files.map(readEntry))
}

/**
 * The entries of the directories, of which one that is not there holds none.
 * @throws Trouble for a directory that cannot be read
 */
export function entriesIn(directories: readonly string[]): string[] {
  return directories
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => {
      const names = reading(directory, () => readdirSync(directory))
      return names.sort().map((name) => path.join(directory, name))
    })
}

export function readEntry(file: string): Read {
  try {
    return { entry: entryOf(parseInfo(file)) }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : { unreadable: wordsFor(error) }
  }
}

/** What entries tell together: the namespace of a container may stand in any of its own. */
export function cacheOf(files: readonly string[], reads: readonly Read[]): Cache {
  const unreadable: Unreadable[] = []
  const attachments: (Attached & { file: string; container: string; netns: string | undefined })[] = []
  const netnsOf = new Map<string, string>()
  for (const [index, read] of reads.entries()) {
    const file = files[index] ?? ''
    if (read === null) continue
    if ('unreadable' in read) {
      unreadable.push({ file, message: read.unreadable })
      continue
    }
    const { container, netns, attached } = read.entry
    if (netns !== undefined) netnsOf.set(container, netns)
    if (attached) attachments.push({ file, container, ...attached, netns })
  }
  return {
    attachments: attachments.map(({ netns: own, ...attachment }) => {
      const netns = own ?? netnsOf.get(attachment.container)
      return { ...attachment, ...(netns === undefined ? {} : { netns }) }
    }),
    unreadable,
  }
}

/**
 * What CHECK is called with, for each place of an entry's chain that names this plugin.
 * @throws Error, with code ENOENT if the entry was removed
 */
export function confsIn(file: string): NetConf[] {
  const info = parseInfo(file)
  const { name, cniVersion } = info.list
  return ours(info).map((plugin) => ({ ...plugin, name, cniVersion, prevResult: info.result ?? {} }))
}

/** No entry of libcni's is longer, by far. */
const MOST_BYTES = 4 * 1024 * 1024

type CachedInfo = Readonly<Record<string, unknown>> & { containerId: string; ifName: string; list: NetConf }

/** @throws Error */
function parseInfo(file: string): CachedInfo {
  let info: unknown
  const text = readFound(file, 'refuse', MOST_BYTES).toString()
  try {
    info = JSON.parse(text)
  } catch (error) {
    throw new Error(`not JSON: ${messageOf(error)}`)
  }
  if (!isObject(info) || info.kind !== 'cniCacheV1') throw new Error('not of the kind cniCacheV1')
  for (const key of ['containerId', 'ifName', 'config']) {
    if (typeof info[key] !== 'string' || info[key] === '') throw new Error(`${key}: missing`)
  }
  return { ...info, list: parseList(info.config) } as CachedInfo
}

function parseList(config: unknown): NetConf {
  try {
    const list: unknown = JSON.parse(Buffer.from(String(config), 'base64').toString())
    if (isObject(list)) return list
  } catch {
    // told below
  }
  throw new Error('config: no network configuration')
}

function pluginsOf({ list }: CachedInfo): readonly unknown[] {
  return Array.isArray(list.plugins) ? list.plugins : [list]
}

function ours(info: CachedInfo): NetConf[] {
  return pluginsOf(info).filter((plugin): plugin is NetConf => isObject(plugin) && plugin.type === OURS)
}

function entryOf(info: CachedInfo): Entry {
  const netns = sandboxOf(info)
  return {
    container: bounded('containerId', info.containerId),
    ...(netns === undefined ? {} : { netns: bounded('netns', netns, MOST_PATH) }),
    ...(ours(info).length === 0 ? {} : { attached: attachedOf(info) }),
  }
}

/** The names of a pod and of a namespace of Kubernetes have 317 characters together. */
const MOST_NAME = 512
/** @see limits.h PATH_MAX */
const MOST_PATH = 4096

/** It is kept, and printed. */
function bounded(key: string, text: string, most = MOST_NAME): string {
  if (text.length > most) throw new Error(`${key}: longer than ${most} characters`)
  return text
}

/** Also the Results of most plugins tell the namespace. */
function sandboxOf({ netns, result }: CachedInfo): string | undefined {
  if (typeof netns === 'string' && netns !== '') return netns
  const interfaces: readonly unknown[] = isObject(result) && Array.isArray(result.interfaces) ? result.interfaces : []
  for (const one of interfaces) {
    if (isObject(one) && typeof one.sandbox === 'string' && one.sandbox !== '') return one.sandbox
  }
  return undefined
}

function attachedOf(info: CachedInfo): Attached {
  const pod = podOf(info.cniArgs)
  const [first] = pluginsOf(info)
  const maker = isObject(first) ? first.type : undefined
  const network = [info.networkName, info.list.name].find((one) => typeof one === 'string')
  return {
    ...(pod === undefined ? {} : { pod: bounded('cniArgs', pod) }),
    network: bounded('networkName', network ?? '-'),
    ifname: bounded('ifName', info.ifName),
    ...(typeof maker === 'string' ? { maker: bounded('type', maker) } : {}),
  }
}

function podOf(args: unknown): string | undefined {
  const pairs: readonly unknown[] = Array.isArray(args) ? args : []
  const lastOf = (key: string) => pairs.filter(Array.isArray).findLast(([name]) => name === key)?.[1]
  const [namespace, pod] = [lastOf('K8S_POD_NAMESPACE'), lastOf('K8S_POD_NAME')]
  return typeof pod === 'string' ? `${typeof namespace === 'string' ? namespace : '?'}/${pod}` : undefined
}

/** The Result of a NIC, if a cache of the node tells of it. @throws Trouble for a directory that cannot be read */
export function resultOf(netns: string, ifname: string, root = '/'): unknown {
  const { attachments } = readCaches(CACHES.map((directory) => onThisSide(root, directory)))
  const found = attachments.find(
    (one) => one.netns !== undefined && byRun(one.netns) === byRun(netns) && one.ifname === ifname,
  )
  return found && reading(found.file, () => confsIn(found.file))[0]?.prevResult
}

/** /var/run is a link to /run on any node. */
const byRun = (file: string) => file.replace(/^\/var\/run\//, '/run/')
