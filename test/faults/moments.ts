/** The moments of a conversation with ip(8), as rows of a table. */
import type { Moment } from './stand-in.ts'

/** What each verb asks first. */
const QUESTIONS = {
  ADD: ['route show table all', 'address show'],
  CHECK: ['route show table all', 'address show'],
  DEL: ['route show table all'],
} as const

export type Kind = 'question' | 'change' | 'look' | 'end'

/** What a call asks and is told besides. */
export interface Conversing {
  /** What is asked after the changes, where it is not all routes. */
  readonly look?: readonly string[]
  /** Rules are asked for: if `true`, those of IPv6 in a second conversation, which begins before the changes. */
  readonly rules?: boolean | 'IPv4'
}

interface Step {
  readonly text: string
  readonly kind: Kind
  /** In the conversation with `ip -6`. */
  readonly late: boolean
  readonly line: Moment['line']
}

export const isLate = (line: string): boolean => line.startsWith('-6 ')

/** The moments of a call that has `changes` carried out: each line of a conversation, and the end of each. */
export class Moments {
  readonly rows: readonly string[]
  readonly #steps: readonly Step[]
  /** How many changes are made by the first conversation, and by both. */
  readonly #early: number

  constructor(verb: keyof typeof QUESTIONS, changes: readonly string[], { look, rules = false }: Conversing = {}) {
    const early = changes.filter((line) => !isLate(line))
    const again = changes.length > 0
    const second = look ?? ['route show table all, again']
    const first = stepsOf(false, {
      questions: [...QUESTIONS[verb], ...(rules ? ['rule show'] : [])],
      changes: early,
      look: again ? [...second, ...(rules ? ['rule show, again'] : [])] : [],
    })
    const late =
      rules === true
        ? stepsOf(true, {
            questions: ['-6 rule show'],
            changes: changes.filter(isLate),
            look: again ? ['-6 rule show, again'] : [],
          })
        : []
    const isAsked = ({ kind }: Step) => kind === 'question'
    const isTold = (step: Step) => !isAsked(step) && (again || !step.late)
    this.#steps = [...first.filter(isAsked), ...late.filter(isAsked), ...first.filter(isTold), ...late.filter(isTold)]
    this.#early = early.length
    this.rows = this.#steps.map(({ text, late: of }) =>
      text === END ? (rules === true ? `the end of ${of ? '`ip -6`' : '`ip`'}` : text) : `\`${text}\``,
    )
  }

  /** @param conversation the first of those of the attempt that is meant */
  at(row: number, conversation = 1): Moment {
    const { line, late } = this.#of(row)
    return { conversation: late ? conversation + 1 : conversation, line }
  }

  /** The last change. */
  last(conversation = 1): Moment {
    return this.at(
      this.#steps.findLastIndex(({ kind }) => kind === 'change'),
      conversation,
    )
  }

  /** One of the changes, from 0. */
  change(which: number, conversation: number): Moment {
    const rows = [...this.#steps.keys()].filter((row) => this.kind(row) === 'change')
    return this.at(rows[which] ?? -1, conversation)
  }

  kind(row: number): Kind {
    return this.#of(row).kind
  }

  isLate(row: number): boolean {
    return this.#of(row).late
  }

  /** How many changes were carried out when it comes to the row's turn. */
  before(row: number): number {
    return this.#steps.slice(0, row).filter(({ kind }) => kind === 'change').length
  }

  /** How many are carried out if the row's conversation goes on to its end. */
  through(row: number): number {
    const { late, kind } = this.#of(row)
    if (kind === 'question') return late ? this.#early : 0
    return late ? this.before(this.#steps.length) : this.#early
  }

  #of(row: number): Step {
    const step = this.#steps[row]
    if (!step) throw new Error(`no row ${row}`)
    return step
  }
}

const END = 'the end'

function stepsOf(
  late: boolean,
  { questions, changes, look }: Record<'questions' | 'changes' | 'look', readonly string[]>,
): Step[] {
  const lines = [
    ...questions.map((text) => ({ text, kind: 'question' as const })),
    ...changes.map((text) => ({ text, kind: 'change' as const })),
    ...look.map((text) => ({ text, kind: 'look' as const })),
  ]
  return [
    ...lines.map((one, i): Step => ({ ...one, late, line: i + 1 })),
    { text: END, kind: 'end', late, line: 'end' },
  ]
}

/** The first conversation of an attempt, from 1. */
export const conversationOf = (attempt: number, { rules = false }: Conversing): number =>
  1 + (attempt - 1) * (rules === true ? 2 : 1)

/** The states between: `1 of 5 changes`, and so on; `all but change 2` for those that one line was left out of. */
export function between(start: readonly string[], changes: readonly string[]): Record<string, readonly string[]> {
  const states: Record<string, readonly string[]> = {}
  for (const done of changes.keys()) {
    if (done > 0) states[partly(done, changes.length)] = [...start, ...changes.slice(0, done)]
  }
  return states
}

export const partly = (done: number, all: number): string => `${done} of ${all} changes`
