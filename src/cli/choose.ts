import { CniError, listed } from '../errors.ts'
import { entriesOf, networkOf, OURS, typesOf } from './chain.ts'
import { type Terminal, Trouble } from './command.ts'
import type { Entry } from './documents.ts'
import { nameOf, readContents } from './files.ts'
import { bridgedAmong } from './virtual-machines.ts'

/** The options of plan and verify that name a pod and its network. */
export const POD = {
  netns: {
    value: 'PATH',
    completes: 'file',
    about: "The pod's network namespace. To enter it takes CAP_SYS_ADMIN.",
  },
  ifname: { value: 'IF', about: 'The NIC in the pod.' },
  name: { value: 'NETWORK', about: 'Which network, if FILE has several.' },
} as const

/** A place, and what is known of it besides. */
export interface Chosen extends Entry {
  /** The type of the first plugin of its chain. */
  readonly maker: string | undefined
  /** A virtual machine in the same file is known to have the network. */
  readonly bridged: boolean
}

const MOST_NAMES = 20

/**
 * The one place in a file that names this plugin.
 * @param network which network it is of, where there are several
 * @throws Trouble if there is none or more than one
 */
export function chooseEntry(file: string, network: string | undefined, terminal: Terminal): Chosen {
  const { configurations, findings, bridged } = readContents(file, terminal)
  const broken = findings.find(({ severity }) => severity === 'error')
  if (broken) {
    const { position, message } = broken
    throw new Trouble(`${nameOf(file)}${position ? `:${position.line}:${position.column}` : ''}: ${message}`)
  }
  const isBridged = bridgedAmong(bridged)
  const all = configurations.flatMap((one) =>
    entriesOf(one).map((entry) => ({
      entry: { ...entry, maker: typesOf(one)[0], bridged: isBridged(one.attachmentDefinition) },
      network: networkOf(one),
      own: entry.conf.name,
    })),
  )
  const wanted = all.filter((one) => network === undefined || one.network === network || one.own === network)
  const [only, ...others] = wanted
  const names = listed([...new Set(all.map((one) => one.network))], MOST_NAMES).join(', ')
  if (!only) {
    throw new Trouble(
      all.length === 0
        ? `${nameOf(file)}: no ${OURS} in it; add one to "plugins" after the plugin that makes the NIC`
        : `${nameOf(file)}: no network ${network} with ${OURS} in it; there is ${names}`,
    )
  }
  if (others.length > 0)
    throw new Trouble(`${nameOf(file)}: ${wanted.length} places with ${OURS}; choose one by --name: ${names}`)
  return only.entry
}

/** What the plugin says of the environment of a call is here said of the options that stand for it. */
export function inWordsOfOptions(error: unknown): unknown {
  if (!(error instanceof CniError)) return error
  const message = error.message.replace(/^CNI_NETNS: /, '--netns: ').replace(/^CNI_IFNAME: /, '--ifname: ')
  const gone = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
  const details = gone ? 'there is none: the pod is gone, or the path is of another node or container' : error.details
  return new CniError(error.code, message, details, error)
}
