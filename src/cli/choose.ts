import { existsSync } from 'node:fs'
import { CniError, listed } from '../errors.ts'
import { type Terminal, Trouble } from './command.ts'
import { nameOf, readContents } from './files.ts'
import type { Entry } from './validate/documents.ts'
import { OURS } from './validate/ours.ts'
import { entriesOf, networkOf, typesOf } from './validate/plugins.ts'
import type { SetText } from './validate/set-texts.ts'
import { bridgedAmong } from './validate/virtual-machines.ts'

/** The options of plan and verify that name a pod and its network. */
export const POD = {
  netns: {
    value: 'PATH',
    completes: 'file',
    about: "The pod's network namespace. Entering it needs CAP_SYS_ADMIN.",
  },
  ifname: { value: 'IF', about: 'The NIC in the pod.' },
  name: { value: 'NETWORK', about: 'The network to take, if FILE has several.' },
} as const

/** An entry of this plugin, and what else is known of it. */
export interface Chosen extends Entry {
  /** The type of the first plugin of its chain. */
  readonly maker: string | undefined
  /** A virtual machine in the same file is known to use the network. */
  readonly bridged: boolean
  /** The route sets in the same file. */
  readonly sets: readonly SetText[]
}

const MAX_NAMES = 20

/**
 * The only entry of this plugin in a file.
 * @param network which network it belongs to, if the file has several
 * @throws Trouble if there is none or more than one
 */
export function chooseEntry(file: string, network: string | undefined, terminal: Terminal): Chosen {
  const { configurations, findings, bridged, sets } = readContents(file, terminal)
  const broken = findings.find(({ severity }) => severity === 'error')
  if (broken) {
    const { position, message } = broken
    throw new Trouble(`${nameOf(file)}${position ? `:${position.line}:${position.column}` : ''}: ${message}`)
  }
  const isBridged = bridgedAmong(bridged)
  const all = configurations.flatMap((one) =>
    entriesOf(one).map((entry) => ({
      entry: { ...entry, maker: typesOf(one)[0], bridged: isBridged(one.attachmentDefinition), sets },
      network: networkOf(one),
      own: entry.conf.name,
    })),
  )
  const wanted = all.filter((one) => network === undefined || one.network === network || one.own === network)
  const [only, ...others] = wanted
  const names = listed([...new Set(all.map((one) => one.network))], MAX_NAMES).join(', ')
  if (!only) {
    throw new Trouble(
      all.length === 0
        ? `${nameOf(file)}: no entry of ${OURS} found; add one to "plugins" after the plugin that makes the NIC`
        : `${nameOf(file)}: network ${network} not found; write one of these, which have ${OURS}: ${names}`,
    )
  }
  if (others.length > 0)
    throw new Trouble(`${nameOf(file)}: found ${wanted.length} entries of ${OURS}; choose one with --name: ${names}`)
  return only.entry
}

/** Names the options of the command where the plugin's message names variables of a call. */
export function inWordsOfOptions(error: unknown): unknown {
  if (!(error instanceof CniError)) return error
  const message = error.message.replace(/^CNI_NETNS: /, '--netns: ').replace(/^CNI_IFNAME: /, '--ifname: ')
  const { code, path = '' } = (error.cause ?? {}) as NodeJS.ErrnoException
  const details = code === 'ENOENT' ? whyGone(path) : error.details
  return new CniError(error.code, message, details, error)
}

/** Where `ip netns` keeps namespaces by their names. */
const NAMED = '/run/netns'

function whyGone(netns: string): string {
  const named = `${NAMED}/${netns}`
  return netns !== '' && !netns.includes('/') && existsSync(named)
    ? `it is not a path; write ${named}`
    : 'it does not exist: the pod is gone, or the path belongs to another node or container'
}
