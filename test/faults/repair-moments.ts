/** The moments of a repair, as rows of a table. */
import { type Kind, Moments } from './moments.ts'
import type { Moment } from './stand-in.ts'

/**
 * The conversations with ip(8) of a repair that finds something: it looks, finds out what it would do, and waits for 2 s;
 * then it takes its turn, looks again, makes the changes, and looks for the last time.
 */
export const LOOK = 1
export const TRIAL = 2
export const AGAIN = 3
export const CHANGE = 4
export const LAST = 5

export interface RepairMoment {
  readonly text: string
  readonly at: Moment
  readonly kind: Kind
  /** How many changes have been made by then. */
  readonly done: number
}

/** All moments that differ: the first question of each conversation, and each line of the one with the changes. */
export function momentsOf(changes: readonly string[]): RepairMoment[] {
  const one = (conversation: number, done = 0, question = 'route show table all'): RepairMoment => ({
    text: `${conversation}: \`${question}\``,
    at: { conversation, line: 1 },
    kind: 'question',
    done,
  })
  const moments = new Moments('ADD', changes, { rules: 'IPv4' })
  const inChange = moments.rows.map((text, row) => ({
    text: `${CHANGE}: ${text}`,
    at: moments.at(row, CHANGE),
    kind: moments.kind(row),
    done: moments.before(row),
  }))
  return [
    one(LOOK),
    one(TRIAL),
    one(AGAIN),
    ...inChange,
    one(LAST, changes.length, 'route show table all exact 0.0.0.0/0'),
  ]
}

export const BETWEEN: RepairMoment = {
  text: 'between the looks',
  at: { conversation: TRIAL, line: 'end' },
  kind: 'question',
  done: 0,
}
