import { closeSync, constants, fstatSync, openSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { CniError, Code, messageOf } from '../errors.ts'
import { clock } from './clock.ts'

/** An open network namespace. It is entered by its descriptor: the path may mean something else at any moment. */
export interface Netns {
  readonly path: string
  readonly fd: number
  /** True if this process itself is in it. */
  readonly own: boolean
  /** The command that runs another one in the namespace. It expects the namespace as descriptor 3. */
  readonly enter: readonly [string, ...string[]]
  /** When everything in it must be done, by clock(). */
  readonly until: number
}

/** @see linux/magic.h */
const NSFS_MAGIC = 0x6e736673

/** @see nsenter(1) */
const ENTER = ['nsenter', '--net=/proc/self/fd/3'] as const

export type WithNetns = typeof withNetns

/**
 * Opens the namespace at `path` while `use` runs.
 * @param limit time for that, in milliseconds
 * @throws CniError 4 if there is no namespace at `path`
 */
export async function withNetns<T>(path: string, limit: number, use: (netns: Netns) => Promise<T>): Promise<T> {
  const fd = openPath(path)
  try {
    if (statfsSync(`/proc/self/fd/${fd}`).type !== NSFS_MAGIC) throw notANetns(path)
    const [theirs, mine] = [fstatSync(fd), statSync('/proc/self/ns/net')]
    return await use({
      path,
      fd,
      own: theirs.ino === mine.ino && theirs.dev === mine.dev,
      enter: ENTER,
      until: clock() + limit,
    })
  } finally {
    closeSync(fd)
  }
}

function openPath(path: string): number {
  try {
    // A FIFO at this path would block us for ever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_NETNS: cannot open the network namespace ${path}`,
      messageOf(error),
      error,
    )
  }
}

export function notANetns(path: string): CniError {
  return new CniError(
    Code.invalidEnvironment,
    `CNI_NETNS: not a network namespace: ${path}; write a path such as /var/run/netns/NAME or /proc/PID/ns/net`,
  )
}

/** @see capabilities(7), linux/capability.h */
const NEEDED_CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n } as const

/** The capabilities that changing the routes of a namespace takes and this process lacks. */
export function missingCapabilities(): string[] {
  const effective = BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`,
  )
  return Object.entries(NEEDED_CAPABILITIES).flatMap(([name, bit]) => ((effective >> bit) & 1n ? [] : name))
}
