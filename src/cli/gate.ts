import { createHash } from 'node:crypto'
import { NAME } from './install-file.ts'
import { version } from './version.ts'

/** The text of gate.sh, by the build. */
declare const __GATE__: string

/**
 * How many calls run at once, unless told otherwise. The first costs 23 MiB of a cgroup, each other one 11: two suffice to keep
 * its processors busy, and leave one for the others when a call hangs. The table in docs/performance.md is what more would gain.
 */
export const AT_ONCE = 2
/** Each is 11 MiB of a cgroup: nobody means more. */
export const MOST_AT_ONCE = 64

/** In memory, and gone after a reboot. The directory is root's alone: a lock is held by whoever may open the file. */
export const SLOTS = '/run/x-calico-route'

/**
 * Seconds that a call waits at one slot, and at how many, one after the other: from 42 to 72 in all. kubelet gives up after two
 * minutes, of which the other plugins of the chain need their part, while a call that hangs is through in half a minute: stdin and
 * ip(8) have 10 s each, a rollback as much again.
 */
const WAIT = { min: 7, spread: 6, rounds: 6 } as const

/** What a gate says of itself. */
export interface Gate {
  /** The name of the executable that it becomes, in its own directory. */
  readonly executable: string
  readonly atOnce: number
  /** Whether it is as it was written, to the last byte. */
  readonly intact: boolean
}

/** An executable's name beside the gate: hidden, so that nobody takes it for a plugin, and of what it holds. */
export function executableName(sha256: string): string {
  return `.${NAME}-${sha256.slice(0, 16)}`
}

export const EXECUTABLE = /^\.x-calico-route-[0-9a-f]{16}$/

/** The shell script that a runtime finds as the plugin. */
export function gateText(executable: string, atOnce: number): string {
  const values: Record<string, string> = {
    VERSION: version()
      .trim()
      .slice(NAME.length + 1),
    AT_ONCE: `${atOnce}`,
    EXECUTABLE: executable,
    SLOTS,
    WAIT_MIN: `${WAIT.min}`,
    WAIT_SPREAD: `${WAIT.spread}`,
    ROUNDS: `${WAIT.rounds}`,
  }
  const [shebang = '', ...lines] = __GATE__.replaceAll(/__([A-Z_]+?)__/g, (_, name) => values[name] ?? '').split('\n')
  const rest = lines.join('\n')
  return `${shebang}\n${headOf(rest)}${rest}`
}

const headOf = (rest: string) => `# sha256 of what follows: ${createHash('sha256').update(rest).digest('hex')}\n`

/** What the file is if it is a gate, of whatever version; undefined if it is none. */
export function readGate(text: string): Gate | undefined {
  const [, head, rest = ''] =
    /^#!\/bin\/sh\n(# sha256 of what follows: \w*\n)# x-calico-route ([\s\S]*)$/.exec(text) ?? []
  if (head === undefined) return undefined
  const [executable = ''] = /\.x-calico-route-[0-9a-f]{16}\b/.exec(rest) ?? []
  const [, atOnce = ''] = / takes one of (\d+) slots /.exec(rest) ?? []
  return {
    executable,
    atOnce: Number(atOnce),
    intact: head === headOf(`# x-calico-route ${rest}`) && executable !== '',
  }
}

/** No gate is longer. */
export const GATE_BYTES = 16 * 1024
