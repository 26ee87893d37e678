/** JSON as runtimes read it, with where each part of it stands: for people who have to find the place in their editor. */

/** Why a text is no JSON, and at which offset. */
export class JsonProblem extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** Offsets of a value, and of the key that names it; and the places of what is in it. */
export interface Place {
  readonly key?: number
  readonly value: number
  readonly inside?: ReadonlyMap<string | number, Place>
}

export interface JsonDocument {
  readonly value: unknown
  readonly place: Place
  /** Keys that stand a second time in one object, where the last one counts. */
  readonly repeated: readonly { readonly path: Path; readonly offset: number }[]
}

export type Path = readonly (string | number)[]

const MAX_DEPTH = 500
/** A part of a string. Of all of it in one pattern, with megabytes in it, the engine would remember every step. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these JSON does not allow
const PART = /[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const SPACE = /[ \t\n\r]*/y
const LITERAL = /[\w.+-]+/y

/** What is between the quotes of the string at an offset, and where that begins; nothing, if there is none. */
export function stringAt(text: string, offset: number): { readonly offset: number; readonly source: string } {
  return { offset: offset + 1, source: text.slice(offset + 1, endOfString(text, offset) ?? offset + 1) }
}

/** Where the quote stands that ends the string at an offset. */
function endOfString(text: string, offset: number): number | undefined {
  if (text[offset] !== '"') return undefined
  PART.lastIndex = offset + 1
  let end = PART.lastIndex
  while (PART.test(text)) end = PART.lastIndex
  return text[end] === '"' ? end : undefined
}

/**
 * @throws JsonProblem where JSON.parse would throw, too, but with the offset and what to do
 */
export function parseJson(text: string): JsonDocument {
  const repeated: { path: Path; offset: number }[] = []
  /** Of what is being read. A copy for each value would make a deep document a long one. */
  const path: (string | number)[] = []
  let at = 0

  const fail = (message: string): never => {
    throw new JsonProblem(at, message)
  }
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const [found] = pattern.exec(text) ?? []
    if (found !== undefined) at += found.length
    return found
  }
  const space = () => void match(SPACE)
  const here = () => text[at] ?? ''

  const value = (): Place => {
    if (path.length > MAX_DEPTH) fail('nested too deeply')
    const start = at
    if (here() === '{') return { value: start, inside: members('}') }
    if (here() === '[') return { value: start, inside: members(']') }
    if (here() === '"') string()
    else literal()
    return { value: start }
  }

  const literal = (): void => {
    const start = at
    if ((match(WORD) ?? match(NUMBER)) === undefined) fail(`a value is expected, ${found()}`)
    if (match(LITERAL) === undefined) return
    at = start
    fail(`a value is expected, ${found()}`)
  }

  const inner = (step: string | number): Place => {
    path.push(step)
    const place = value()
    path.pop()
    return place
  }

  const members = (end: '}' | ']'): Map<string | number, Place> => {
    const start = at
    const places = new Map<string | number, Place>()
    at += 1
    space()
    if (here() === end) {
      at += 1
      return places
    }
    for (let index = 0; ; index += 1) {
      if (end === ']') {
        places.set(index, inner(index))
      } else {
        const offset = at
        const key =
          here() === '"' ? (JSON.parse(string()) as string) : fail(`a key in double quotes is expected, ${found()}`)
        if (places.has(key)) repeated.push({ path: [...path, key], offset })
        space()
        if (here() !== ':') fail(`":" is expected after the key ${JSON.stringify(key)}, ${found()}`)
        at += 1
        space()
        places.set(key, { key: offset, ...inner(key) })
      }
      space()
      if (here() === end) {
        at += 1
        return places
      }
      if (at >= text.length) {
        at = start
        fail(`this "${text[start]}" is never closed; add "${end}"`)
      }
      if (here() !== ',')
        fail(/[\s"[{\w-]/.test(here()) ? 'a comma is missing before this' : `"," or "${end}" is expected, ${found()}`)
      const comma = at
      at += 1
      space()
      if (here() === end) {
        at = comma
        fail(`a comma before "${end}"; JSON has none there, remove it`)
      }
    }
  }

  const string = (): string => {
    const start = at
    const end = endOfString(text, start)
    if (end === undefined)
      return fail('a string with a line break, a control character or an unknown escape in it, or without an end')
    at = end + 1
    return text.slice(start, at)
  }

  const found = (): string => {
    if (at >= text.length) return 'found the end'
    if (here() === "'") return 'found a single quote; JSON has double quotes only'
    if (here() === '#' || text.startsWith('//', at) || text.startsWith('/*', at))
      return 'found a comment; JSON has none, remove it'
    const word = match(LITERAL)
    if (word !== undefined) at -= word.length
    return `found ${JSON.stringify(word ?? String.fromCodePoint(text.codePointAt(at) ?? 0))}`
  }

  space()
  const place = value()
  space()
  if (at < text.length) fail(`the document has ended, ${found()}`)
  return { value: JSON.parse(text), place, repeated }
}
