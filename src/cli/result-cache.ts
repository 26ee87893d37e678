import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { isObject, type NetConf } from '../cni/request.ts'
import { messageOf } from '../errors.ts'
import { reading, wordsFor } from './files.ts'
import { readFound } from './found-file.ts'
import { onThisSide } from './node-root.ts'
import { OURS } from './validate/ours.ts'

/**
 * Where libcni keeps what later calls need from each ADD, in files named `NETWORK-CONTAINER-IFNAME`. Multus has its own copy
 * of libcni and its own directory.
 * @see https://github.com/containernetworking/cni/blob/main/libcni/api.go cachedInfo
 */
export const CACHES = ['/var/lib/cni/results', '/var/lib/cni/multus/results'] as const

/** An attachment that this plugin has worked on. */
export interface Attachment extends Attached {
  /** Its cache entry. */
  readonly file: string
  readonly container: string
  /** The path on the node. Absent if neither the entry nor a Result has it: libcni before 1.2 does not write it. */
  readonly netns?: string
}

interface Attached {
  /** `namespace/name`, from CNI_ARGS. */
  readonly pod?: string
  readonly network: string
  readonly ifname: string
  /** The type of the first plugin of the chain. */
  readonly maker?: string
  /** The route sets that its configuration names. */
  readonly sets: readonly string[]
}

/** A pod, and all that is known of its attachments. */
export interface Pod {
  readonly container: string
  /** The path on the node. */
  readonly netns?: string
  readonly attachments: readonly Attachment[]
  /** The directories of all caches: any of them may get another entry of it. */
  readonly caches: readonly string[]
  /** The entries that are the pod's by their file name, and say nothing of what it asks for. */
  readonly unreadable: readonly Unreadable[]
  /** Another container whose entries name the same network namespace. */
  readonly rival?: string
}

export interface Unreadable {
  readonly file: string
  readonly message: string
}

export interface Cache {
  readonly attachments: readonly Attachment[]
  readonly unreadable: readonly Unreadable[]
  /** Where all that was looked for. */
  readonly directories: readonly string[]
}

/** What an entry says. */
export interface CacheEntry {
  readonly container: string
  readonly netns?: string
  /** Absent if its chain does not have this plugin. */
  readonly attached?: Attached
}

/** What came of reading an entry; null if it was removed meanwhile, because its pod is being deleted. */
export type Read = { readonly entry: CacheEntry } | { readonly unreadable: string } | null

/** Every attachment in the directories. @throws Trouble for a directory that cannot be read */
export function readCaches(directories: readonly string[]): Cache {
  const files = entriesIn(directories)
  return cacheOf(directories, files, files.map(readEntry))
}

/**
 * The entries of the directories. A directory that does not exist has none.
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

/** Combines what entries say: any entry of a container may have its network namespace. */
export function cacheOf(directories: readonly string[], files: readonly string[], reads: readonly Read[]): Cache {
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
    directories,
  }
}

/** The pods of all caches together, in the order of their first attachment. */
export function podsOf({ attachments, unreadable, directories }: Cache): Pod[] {
  const byContainer = Map.groupBy(attachments, ({ container }) => container)
  const ownerOf = containerIn(byContainer)
  const broken = Map.groupBy(unreadable, ({ file }) => ownerOf(path.basename(file)))
  const inNetns = Map.groupBy(attachments, ({ netns }) => netns && byRun(netns))
  return [...byContainer].map(([container, own]) => {
    const netns = own.find((one) => one.netns !== undefined)?.netns
    const sharing = netns === undefined ? [] : (inNetns.get(byRun(netns)) ?? [])
    const rival = sharing.find((one) => one.container !== container)?.container
    return {
      container,
      ...(netns === undefined ? {} : { netns }),
      attachments: own,
      caches: directories,
      unreadable: broken.get(container) ?? [],
      ...(rival === undefined ? {} : { rival }),
    }
  })
}

/** @see linux/if.h IFNAMSIZ */
const MAX_IFNAME = 15

/** Finds that of `containers` which the name of an entry has, `NETWORK-CONTAINER-IFNAME`. Each part may have hyphens. */
function containerIn(containers: ReadonlyMap<string, unknown>): (name: string) => string | undefined {
  const lengths = new Set([...containers.keys()].map(({ length }) => length))
  return (name) => {
    for (let end = name.length - 2; end >= name.length - 1 - MAX_IFNAME && end > 0; end--) {
      if (name[end] !== '-') continue
      for (const length of lengths) {
        const part = name.slice(end - length, end)
        if (name[end - length - 1] === '-' && containers.has(part)) return part
      }
    }
    return undefined
  }
}

/**
 * The network configurations that CHECK gets, one for each entry of this plugin in the chain.
 * @throws Error, with code ENOENT if the entry was removed
 */
export function confsIn(file: string): NetConf[] {
  const info = parseInfo(file)
  const { name, cniVersion } = info.list
  return ours(info).map((plugin) => ({ ...plugin, name, cniVersion, prevResult: info.result ?? {} }))
}

/** Far more than any entry of libcni has. */
const MAX_BYTES = 4 * 1024 * 1024

type CachedInfo = Readonly<Record<string, unknown>> & { containerId: string; ifName: string; list: NetConf }

/** @throws Error */
function parseInfo(file: string): CachedInfo {
  let info: unknown
  const text = readFound(file, 'refuse', MAX_BYTES).toString()
  try {
    info = JSON.parse(text)
  } catch (error) {
    throw new Error(`not JSON: ${messageOf(error)}`)
  }
  if (!isObject(info) || info.kind !== 'cniCacheV1') throw new Error('not a cache entry of kind cniCacheV1')
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
  throw new Error('config: not a network configuration')
}

function cachedPlugins({ list }: CachedInfo): readonly unknown[] {
  return Array.isArray(list.plugins) ? list.plugins : [list]
}

function ours(info: CachedInfo): NetConf[] {
  return cachedPlugins(info).filter((plugin): plugin is NetConf => isObject(plugin) && plugin.type === OURS)
}

function entryOf(info: CachedInfo): CacheEntry {
  const netns = sandboxOf(info)
  return {
    container: bounded('containerId', info.containerId),
    ...(netns === undefined ? {} : { netns: bounded('netns', netns, MAX_PATH) }),
    ...(ours(info).length === 0 ? {} : { attached: attachedOf(info) }),
  }
}

/** The names of a Kubernetes namespace and a pod have at most 317 characters together. */
const MAX_NAME = 512
/** @see limits.h PATH_MAX */
const MAX_PATH = 4096

/** The text is kept and printed, so its length must have a limit. */
function bounded(key: string, text: string, max = MAX_NAME): string {
  if (text.length > max) throw new Error(`${key}: longer than ${max} characters`)
  return text
}

/** The Results of most plugins have the network namespace too. */
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
  const [first] = cachedPlugins(info)
  const maker = isObject(first) ? first.type : undefined
  const network = [info.networkName, info.list.name].find((one) => typeof one === 'string')
  return {
    ...(pod === undefined ? {} : { pod: bounded('cniArgs', pod) }),
    network: bounded('networkName', network ?? '-'),
    ifname: bounded('ifName', info.ifName),
    sets: [...new Set(ours(info).flatMap(setsOf))],
    ...(typeof maker === 'string' ? { maker: bounded('type', maker) } : {}),
  }
}

/** The sets that a configuration names, in its own routes or in those that the pod asks for. */
function setsOf({ routes, args }: NetConf): string[] {
  const asked = isObject(args) && isObject(args.cni) ? args.cni.routes : undefined
  return [routes, asked].flatMap((written: unknown) =>
    Array.isArray(written)
      ? written.flatMap((entry) => (isObject(entry) && isSetName(entry.set) ? entry.set : []))
      : [],
  )
}

/** Any other is refused by ADD. */
const isSetName = (name: unknown): name is string =>
  typeof name === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)

function podOf(args: unknown): string | undefined {
  const pairs: readonly unknown[] = Array.isArray(args) ? args : []
  const lastOf = (key: string) => pairs.filter(Array.isArray).findLast(([name]) => name === key)?.[1]
  const [namespace, pod] = [lastOf('K8S_POD_NAMESPACE'), lastOf('K8S_POD_NAME')]
  return typeof pod === 'string' ? `${typeof namespace === 'string' ? namespace : '?'}/${pod}` : undefined
}

/** The Result of a NIC, if a cache of the node has it. @throws Trouble for a directory that cannot be read */
export function resultOf(netns: string, ifname: string, root = '/'): unknown {
  const { attachments } = readCaches(CACHES.map((directory) => onThisSide(root, directory)))
  const found = attachments.find(
    (one) => one.netns !== undefined && byRun(one.netns) === byRun(netns) && one.ifname === ifname,
  )
  return found && reading(found.file, () => confsIn(found.file))[0]?.prevResult
}

/** /var/run is a link to /run on any node. */
export const byRun = (file: string) => file.replace(/^\/var\/run\//, '/run/')
