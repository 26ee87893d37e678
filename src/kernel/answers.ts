import { TooMuch } from '../errors.ts'
import type { Listener } from './look.ts'
import { Pieces } from './pieces.ts'

/** The limit for output that answers no question. */
const MAX_UNASKED = 64 * 1024

/** Answers that somebody waits for. */
export interface Waiting {
  readonly listener: Listener<unknown>
  readonly questions: number
  answered: number
  /** Settles when the last question is answered, or none will be any more. */
  readonly end: PromiseWithResolvers<void>
}

/** Hands the answers of ip(8) to their listener as they come in: one line for each question, long lines in pieces. */
export class Answers {
  readonly #pieces = new Pieces()
  #waiting: Waiting | undefined
  /** What came before its question. */
  #early = ''

  /** Undefined once everything asked so far is answered. */
  get waiting(): Waiting | undefined {
    return this.#waiting
  }

  /** Sends the next answers to `listener`. */
  expect(questions: number, listener: Listener<unknown>): Waiting {
    const waiting = { listener, questions, answered: 0, end: Promise.withResolvers<void>() }
    this.#waiting = waiting
    return waiting
  }

  /** What came before its question, for `add`. */
  takeEarly(): string {
    const early = this.#early
    this.#early = ''
    return early
  }

  /** Drops whatever comes from now on. */
  giveUp(): void {
    this.#waiting = undefined
  }

  /**
   * @returns how many characters of a long answer were handed on
   * @throws TooMuch if nobody asked for that much, and what the listener throws
   */
  add(text: string): number {
    let rest = text
    while (rest !== '') {
      const waiting = this.#waiting
      if (!waiting) {
        this.#early += rest
        if (this.#early.length > MAX_UNASKED) throw new TooMuch('ip: printed more than it was asked for')
        return 0
      }
      const end = rest.indexOf('\n')
      if (end < 0) return this.#addPiece(waiting, rest)
      const whole = !this.#pieces.cut
      waiting.listener.take(waiting.answered, this.#pieces.finish(rest.slice(0, end)), whole)
      rest = rest.slice(end + 1)
      waiting.answered += 1
      if (waiting.answered < waiting.questions) continue
      this.#waiting = undefined
      waiting.end.resolve()
    }
    return 0
  }

  #addPiece({ listener, answered }: Waiting, text: string): number {
    const piece = this.#pieces.add(text)
    if (piece === undefined) return 0
    listener.take(answered, piece, false)
    return piece.length
  }
}
