import type { Terminal } from './command.ts'
import type { Progress } from './look-at-node.ts'
import type { Seen } from './look-at-pod.ts'
import { count, type Paint, printable } from './paint.ts'
import type { RepairState } from './repair-pod.ts'
import type { Cache } from './result-cache.ts'
import { table } from './table.ts'

/** How verify and repair show what they found on a node. */
export interface Shown {
  readonly json: boolean
  readonly quiet: boolean
}

/** A line of the table. */
export interface Row extends Pick<Seen, 'said' | 'more'> {
  readonly state: RepairState
  /** What it is about. */
  readonly cells: readonly string[]
}

const COLORS = {
  ok: 'green',
  repaired: 'green',
  differs: 'red',
  busy: 'yellow',
  gone: 'dim',
  unknown: 'yellow',
  error: 'red',
} as const

/** @param head what the cells of the rows are */
export function stateTable(head: readonly string[], rows: readonly Row[], paint: Paint): string {
  const painted = (text: string, row: number, column: number) => {
    if (row === 0) return paint('bold', text)
    const state = rows[row - 1]?.state
    return column === head.length && state !== undefined ? paint(COLORS[state], text) : text
  }
  const lines = rows.map(({ cells, state, said, more }) => [...cells, state, firstOf(said, more)])
  return table([[...head, 'STATE', 'DIFFERENCE'], ...lines], painted)
}

function firstOf([first = '', ...others]: readonly string[], more: number): string {
  const left = others.length + more
  return left > 0 ? `${first} (and ${left} more, see -o json)` : first
}

/** What is printed if there are no rows. */
export function noRows(caches: readonly string[]): string {
  return `no attachment with x-calico-route in ${caches.map(printable).join(' or ')}\n`
}

/** Whoever can write to the directory decides how many there are. */
const MAX_UNREADABLE = 20

export function unreadableText(unreadable: Cache['unreadable']): string {
  const lines = unreadable
    .slice(0, MAX_UNREADABLE)
    .map(({ file, message }) => `${file}: cannot be read: ${message}; if its pod is gone, remove it`)
  const left = unreadable.length - lines.length
  return [...lines, ...(left > 0 ? [`${left} more files cannot be read, see -o json`] : [])]
    .map((line) => `${printable(line)}\n`)
    .join('')
}

/** All that is told, for JSON. */
export function allOf({ said, more }: Pick<Seen, 'said' | 'more'>): readonly string[] {
  return more > 0 ? [...said, `and ${more} more`] : said
}

/** Shows how many are done, on a terminal. */
export function progressOn({ progress, err }: Terminal): Progress {
  return (total, noun) => (done) => {
    if (progress) err(`\r\x1b[K${done === total ? '' : `${done} of ${count(total, noun)}`}`)
  }
}
