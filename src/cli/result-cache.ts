import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../errors.ts'
import { isObject, type NetConf } from '../request.ts'
import { OURS } from './chain.ts'
import { reading, wordsFor } from './files.ts'
import { onThisSide } from './node-root.ts'

/**
 * What libcni remembers of every ADD for later calls, `NETWORK-CONTAINER-IFNAME` below a directory of the runtime; Multus has its
 * own copy of libcni, with a directory of its own.
 * @see https://github.com/containernetworking/cni/blob/main/libcni/api.go cachedInfo
 */
export const CACHES = ['/var/lib/cni/results', '/var/lib/cni/multus/results'] as const

/** An attachment that this plugin has worked on. */
export interface Attachment {
  readonly container: string
  /** `namespace/name`, from CNI_ARGS. */
  readonly pod?: string
  readonly network: string
  readonly ifname: string
  /** The type of the first plugin of the chain. */
  readonly maker?: string
  /** As the node knows it. Absent: libcni before 1.2 does not write it, and no Result tells. */
  readonly netns?: string
  /** What CHECK is called with, for each place of the chain that names this plugin. */
  readonly confs: readonly NetConf[]
}

export interface Unreadable {
  readonly file: string
  readonly message: string
}

export interface Cache {
  readonly attachments: readonly Attachment[]
  readonly unreadable: readonly Unreadable[]
}

type CachedInfo = Readonly<Record<string, unknown>> & { containerId: string; ifName: string; config: string }

/**
 * Every attachment that the directories tell of. A directory that is not there holds nothing.
 * @throws Trouble for a directory that cannot be read
 */
export function readCaches(directories: readonly string[]): Cache {
  const unreadable: Unreadable[] = []
  const entries: { info: CachedInfo; list: NetConf }[] = []
  for (const directory of directories) {
    if (!existsSync(directory)) continue
    for (const name of reading(directory, () => readdirSync(directory)).sort()) {
      const file = path.join(directory, name)
      try {
        const info = parseInfo(readFileSync(file, 'utf8'))
        entries.push({ info, list: parseList(info) })
      } catch (error) {
        // Removed while we read: its pod is being deleted.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable.push({ file, message: wordsFor(error) })
      }
    }
  }
  const netnsOf = new Map<string, string>()
  for (const { info } of entries) {
    const netns = sandboxOf(info)
    if (netns !== undefined) netnsOf.set(info.containerId, netns)
  }
  const attachments = entries.flatMap(({ info, list }) =>
    attachment(info, list, sandboxOf(info) ?? netnsOf.get(info.containerId)),
  )
  return { attachments, unreadable }
}

function parseInfo(text: string): CachedInfo {
  let info: unknown
  try {
    info = JSON.parse(text)
  } catch (error) {
    throw new Error(`not JSON: ${messageOf(error)}`)
  }
  if (!isObject(info) || info.kind !== 'cniCacheV1') throw new Error('not of the kind cniCacheV1')
  for (const key of ['containerId', 'ifName', 'config']) {
    if (typeof info[key] !== 'string' || info[key] === '') throw new Error(`${key}: missing`)
  }
  return info as CachedInfo
}

function parseList({ config }: CachedInfo): NetConf {
  try {
    const list: unknown = JSON.parse(Buffer.from(config, 'base64').toString())
    if (isObject(list)) return list
  } catch {
    // told below
  }
  throw new Error('config: no network configuration')
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

function attachment(info: CachedInfo, list: NetConf, netns: string | undefined): Attachment[] {
  const plugins = Array.isArray(list.plugins) ? list.plugins : [list]
  const { name, cniVersion } = list
  const confs = plugins
    .filter((plugin): plugin is NetConf => isObject(plugin) && plugin.type === OURS)
    .map((plugin) => ({ ...plugin, name, cniVersion, prevResult: info.result ?? {} }))
  if (confs.length === 0) return []
  const pod = podOf(info.cniArgs)
  const maker = isObject(plugins[0]) ? plugins[0].type : undefined
  return [
    {
      container: info.containerId,
      ...(pod === undefined ? {} : { pod }),
      network: typeof info.networkName === 'string' ? info.networkName : String(name),
      ifname: info.ifName,
      ...(typeof maker === 'string' ? { maker } : {}),
      ...(netns === undefined ? {} : { netns }),
      confs,
    },
  ]
}

function podOf(args: unknown): string | undefined {
  const pairs = Array.isArray(args) ? args.filter((pair) => Array.isArray(pair)) : []
  const { K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name } = Object.fromEntries(pairs) as Record<string, unknown>
  return typeof name === 'string' ? `${typeof namespace === 'string' ? namespace : '?'}/${name}` : undefined
}

/** The attachment of a NIC, if a cache of the node tells of it. @throws Trouble for a directory that cannot be read */
export function attachmentOf(netns: string, ifname: string, root = '/'): Attachment | undefined {
  return readCaches(CACHES.map((directory) => onThisSide(root, directory))).attachments.find(
    (one) => one.netns !== undefined && byRun(one.netns) === byRun(netns) && one.ifname === ifname,
  )
}

/** /var/run is a link to /run on any node. */
const byRun = (file: string) => file.replace(/^\/var\/run\//, '/run/')
