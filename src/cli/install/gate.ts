import { createHash } from 'node:crypto'
import { version } from '../version.ts'
import { NAME } from './install-file.ts'

/** The text of gate.sh, set by the build. */
declare const __GATE__: string

/**
 * How many calls run at once by default. The first costs 23 MiB of a cgroup, each further one 11. Two keep its processors
 * busy, and when one call hangs the others still have a slot. docs/performance.md shows what more slots would gain.
 */
export const AT_ONCE = 2
/** Each call takes 11 MiB of a cgroup: a larger number is a mistake. */
export const MAX_AT_ONCE = 64

/** In memory, and gone after a reboot. Only root may enter the directory: whoever can open a lock file can hold the lock. */
export const SLOTS = '/run/x-calico-route'

/**
 * A call waits `min` to `min + spread` seconds at one slot, then at the next, for so many rounds: 42 to 72 s in all.
 * kubelet gives up after two minutes, and the other plugins of the chain need some of them. A call that hangs ends after
 * half a minute: stdin, ip(8) and a rollback have 10 s each.
 */
const WAIT = { min: 7, spread: 6, rounds: 6 } as const

/** What the text of a gate says. */
export interface Gate {
  /** The executable that it becomes, as a path in the same directory. */
  readonly executable: string
  /** Whether that has what it needs beside it, in a directory of its own. */
  readonly selfContained: boolean
  readonly atOnce: number
  /** Whether no byte has changed since it was written. */
  readonly intact: boolean
}

/** The name of the executable beside the gate: hidden, so that nobody takes it for a plugin, and made of its hash. */
export function executableName(sha256: string): string {
  return `.${NAME}-${sha256.slice(0, 16)}`
}

/** An executable of a gate, or the directory that one is in with all that it needs. */
export const EXECUTABLE = /^\.x-calico-route-[0-9a-f]{16}(?:\.d)?$/

/** The shell and the tools that a gate calls. */
const CALLED = /(?:\/usr)?\/bin\/(sh|flock|mkdir|readlink)\b/g

/**
 * The shell script that a runtime finds as the plugin.
 * @param tools the directory of the shell and the tools that it calls, if they are not the node's
 */
export function gateText(executable: string, atOnce: number, tools?: string): string {
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
  const text = __GATE__.replaceAll(/__([A-Z_]+?)__/g, (_, name) => values[name] ?? '')
  const located = tools === undefined ? text : text.replaceAll(CALLED, (_, tool) => `${tools}/${tool}`)
  const [shebang = '', ...lines] = located.split('\n')
  const rest = lines.join('\n')
  return `${shebang}\n${hashLine(rest)}${rest}`
}

const hashLine = (rest: string) => `# sha256 of what follows: ${createHash('sha256').update(rest).digest('hex')}\n`

/** Reads a gate of any version; undefined if the text is not a gate. */
export function readGate(text: string): Gate | undefined {
  const [, head, rest = ''] =
    /^#!\/\S+\/sh\n(# sha256 of what follows: \w*\n)# x-calico-route ([\s\S]*)$/.exec(text) ?? []
  if (head === undefined) return undefined
  // In its first lines, before the paths of tools.
  const [executable = ''] = /\.x-calico-route-[0-9a-f]{16}(?:\.d\/x-calico-route)?\b/.exec(rest) ?? []
  const [, atOnce = ''] = / takes one of (\d+) slots /.exec(rest) ?? []
  return {
    executable,
    selfContained: executable.includes('/'),
    atOnce: Number(atOnce),
    intact: head === hashLine(`# x-calico-route ${rest}`) && executable !== '',
  }
}

/** No gate is larger. */
export const GATE_BYTES = 16 * 1024
