/** The moments of a conversation with ip(8), as rows of a table. */
import type { Moment } from './stand-in.ts'

/** What each verb asks first. */
const QUESTIONS = {
  ADD: ['route show table all', 'address show'],
  CHECK: ['route show table all', 'address show'],
  DEL: ['route show table all'],
} as const

/** Which line of its conversation is the first change of a verb, from 1. */
export const firstChange = (verb: keyof typeof QUESTIONS): number => QUESTIONS[verb].length + 1

export type Kind = 'question' | 'change' | 'look' | 'end'

/** The moments of a conversation that has `changes` carried out: each line, and the end. */
export class Moments {
  readonly rows: readonly string[]
  readonly #changes: number
  readonly #questions: number

  /** @param again what is asked after the changes */
  constructor(
    verb: keyof typeof QUESTIONS,
    changes: readonly string[],
    again: readonly string[] = ['route show table all, again'],
  ) {
    this.#changes = changes.length
    this.#questions = QUESTIONS[verb].length
    const look = changes.length > 0 ? again : []
    this.rows = [...QUESTIONS[verb], ...changes, ...look].map((line) => `\`${line}\``).concat('the end')
  }

  at(row: number, conversation = 1): Moment {
    return { conversation, line: row === this.rows.length - 1 ? 'end' : row + 1 }
  }

  kind(row: number): Kind {
    if (row === this.rows.length - 1) return 'end'
    if (row < this.#questions) return 'question'
    return row < this.#questions + this.#changes ? 'change' : 'look'
  }

  /** How many changes were carried out when it comes to the row's turn. */
  before(row: number): number {
    return Math.min(Math.max(row - this.#questions, 0), this.#changes)
  }
}

/** The states between: `1 of 5 changes`, and so on; `all but change 2` for those that one line was left out of. */
export function between(start: readonly string[], changes: readonly string[]): Record<string, readonly string[]> {
  const states: Record<string, readonly string[]> = {}
  for (const done of changes.keys()) {
    if (done > 0) states[partly(done, changes.length)] = [...start, ...changes.slice(0, done)]
  }
  return states
}

export const partly = (done: number, all: number): string => `${done} of ${all} changes`
