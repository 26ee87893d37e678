import { TooMuch } from '../errors.ts'

/** Longer answers are cut. At most this many characters are held at once, unless one object is longer. */
const PIECE = 64 * 1024
/**
 * The kernel describes a route in at most 32 KiB, which ip(8) prints as some 150 KiB. Anything longer is not a route.
 */
const MAX_OBJECT = 1024 * 1024

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]

/**
 * Cuts an answer of ip(8), one line with a JSON array, into arrays of as many whole objects as have come so far:
 * whoever is root in a pod decides how long the line is. An answer of ordinary length is not cut.
 */
export class Pieces {
  #text = ''
  /**
   * How much of the text was looked at; the brackets, quote and escape open at that point; the end of its last whole
   * object.
   */
  #at = 0
  #depth = 0
  #quoted = false
  #escaped = false
  #end = 0
  #cut = false

  /** True once the answer has been cut: what comes next is not all of it. */
  get cut(): boolean {
    return this.#cut
  }

  /** @returns a piece, once there is one @throws TooMuch if an object is longer than any route */
  add(text: string): string | undefined {
    const isNext = this.#at === this.#text.length
    this.#text += text
    if (this.#text.length <= PIECE) return undefined
    // Do not copy the text of a long object again for each bit that comes.
    this.#look(isNext ? text : this.#text.slice(this.#at))
    if (this.#end > 0) return this.#take()
    if (this.#text.length > MAX_OBJECT) throw tooLong()
    return undefined
  }

  /** The last piece, when the line ends. It is an array if the answer is one. */
  finish(text: string): string {
    const whole = this.#text + text
    const rest = this.#cut ? `[${whole.replace(/^,/, '')}` : whole
    this.#text = ''
    this.#at = this.#depth = this.#end = 0
    this.#quoted = this.#escaped = this.#cut = false
    return rest
  }

  /** @param text continues what was already looked at */
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
    // The first piece has its opening bracket; the others start with a comma instead.
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
    'ip: printed more than 1 MiB of one route or interface; somebody with CAP_NET_ADMIN in the pod made it and must remove it',
  )
}
