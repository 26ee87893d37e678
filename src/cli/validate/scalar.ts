import { countBelow } from './position.ts'

/** How a string is written in a YAML file. */
export type Style = 'plain' | 'single' | 'double' | 'block'

/**
 * Returns a function from offsets in a string to offsets in its source. YAML folds lines, removes indentation and resolves
 * escapes, but keeps all other characters in order: so those that are not blank can be counted on both sides.
 * @param source what is between the quotes, or below the line of `|` or `>`
 * @returns undefined if the source is not that of the string
 */
export function placesIn(source: string, style: Style, value: string): ((offset: number) => number) | undefined {
  const written = inked(source, style)
  const read = inked(value, 'plain')
  if (written.length !== read.length) return undefined
  return (offset) => {
    const rank = countBelow(read, offset)
    if (read[rank] === offset) return written[rank] ?? 0
    // A blank comes right after the character before it.
    return rank === 0 ? 0 : (written[rank - 1] ?? 0) + 1
  }
}

/** How many digits follow these letters. */
const CODES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }
/** A backslash and one of these, a line end included, mean a blank or nothing. */
const BLANK_ESCAPES = 'tnr \t\n\r'

/** The offset of each character that is not blank, once for each UTF-16 unit that it becomes. */
function inked(source: string, style: Style): number[] {
  const places: number[] = []
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at] ?? ''
    const next = source[at + 1] ?? ''
    if (isBlank(char)) continue
    if (style === 'double' && char === '\\') {
      const length = Object.hasOwn(CODES, next) ? CODES[next] : undefined
      const made = length === undefined ? (BLANK_ESCAPES.includes(next) ? ' ' : 'x') : character(source, at + 2, length)
      if (!isBlank(made)) places.push(...Array<number>(made.length).fill(at))
      at += 1 + (length ?? 0)
      continue
    }
    places.push(at)
    if (style === 'single' && char === "'" && next === "'") at += 1
  }
  return places
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r'
}

function character(source: string, at: number, length: number): string {
  const code = Number.parseInt(source.slice(at, at + length), 16)
  return code <= 0x10ffff ? String.fromCodePoint(code) : 'x'
}
