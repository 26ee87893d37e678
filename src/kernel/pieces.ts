import { TooMuch } from '../errors.ts'

/** Longer answers are cut: this many characters are held together at most, unless one object is longer. */
const PIECE = 64 * 1024
/** The kernel tells of a route in 32 KiB at most, which ip(8) writes in some 150. What is longer is no route. */
const LONGEST_OBJECT = 1024 * 1024

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]

/**
 * Cuts an answer of ip(8), which is one line with a JSON array of objects, into arrays of as many whole objects as have
 * come: whoever is root in a pod decides how long a line is. An answer of ordinary length stays whole.
 */
export class Pieces {
  #text = ''
  /** How far the text has been looked through, what was open there, and where its last whole object ends. */
  #at = 0
  #depth = 0
  #quoted = false
  #escaped = false
  #end = 0
  #cut = false

  /** True once the answer has been cut: what comes is not all of it. */
  get cut(): boolean {
    return this.#cut
  }

  /** @returns a piece, if there is one @throws TooMuch if an object is longer than any route */
  add(text: string): string | undefined {
    const isNext = this.#at === this.#text.length
    this.#text += text
    if (this.#text.length <= PIECE) return undefined
    // Of a long object the text that is already known is not copied for each that comes.
    this.#look(isNext ? text : this.#text.slice(this.#at))
    if (this.#end > 0) return this.#take()
    if (this.#text.length > LONGEST_OBJECT) throw tooLong()
    return undefined
  }

  /** What is left when the line ends, in a form that is an array if the answer is. */
  finish(text: string): string {
    const whole = this.#text + text
    const rest = this.#cut ? `[${whole.replace(/^,/, '')}` : whole
    this.#text = ''
    this.#at = this.#depth = this.#end = 0
    this.#quoted = this.#escaped = this.#cut = false
    return rest
  }

  /** @param text what comes after what was looked through */
  #look(text: string): void {
    let [depth, quoted, escaped] = [this.#depth, this.#quoted, this.#escaped]
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i)
      if (escaped) escaped = false
      else if (quoted) {
        if (char === BACKSLASH) escaped = true
        else if (char === QUOTE) quoted = false
      } else if (char === QUOTE) quoted = true
      else if (char === OPEN || char === OPEN_LIST) depth++
      else if (char === CLOSE || char === CLOSE_LIST) {
        depth--
        if (depth === 1) this.#end = this.#at + i + 1
      }
    }
    this.#at += text.length
    this.#depth = depth
    this.#quoted = quoted
    this.#escaped = escaped
  }

  #take(): string {
    // Of the first piece the bracket is there, before the others stands a comma.
    const piece = `${this.#cut ? '[' : ''}${this.#text.slice(this.#cut && this.#text.startsWith(',') ? 1 : 0, this.#end)}]`
    this.#text = this.#text.slice(this.#end)
    this.#at -= this.#end
    this.#end = 0
    this.#cut = true
    return piece
  }
}

function tooLong(): TooMuch {
  return new TooMuch(
    'ip: printed more than 1 MiB of one route or interface; whoever has CAP_NET_ADMIN in the pod made it, and must remove it',
  )
}
