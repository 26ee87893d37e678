/** JSON as runtimes read it, with where each part of it stands: for people who have to find the place in their editor. */

/** Why a text is no JSON, and at which offset. */
export class JsonProblem extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** Offsets of a value, and of the key that names it. */
export interface Place {
  readonly key?: number
  readonly value: number
}

export interface JsonDocument {
  readonly value: unknown
  /** By `pathKey`. */
  readonly places: ReadonlyMap<string, Place>
  /** Keys that stand a second time in one object, where the last one counts. */
  readonly repeated: readonly { readonly path: Path; readonly offset: number }[]
}

export type Path = readonly (string | number)[]

export function pathKey(path: Path): string {
  return JSON.stringify(path)
}

const MAX_DEPTH = 500
// biome-ignore lint/suspicious/noControlCharactersInRegex: these JSON does not allow
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const SPACE = /[ \t\n\r]*/y
const LITERAL = /[\w.+-]+/y

/** What is between the quotes of the string at an offset, and where that begins; nothing, if there is none. */
export function stringAt(text: string, offset: number): { readonly offset: number; readonly source: string } {
  STRING.lastIndex = offset
  const [found = '""'] = STRING.exec(text) ?? []
  return { offset: offset + 1, source: found.slice(1, -1) }
}

/**
 * @throws JsonProblem where JSON.parse would throw, too, but with the offset and what to do
 */
export function parseJson(text: string): JsonDocument {
  const places = new Map<string, Place>()
  const repeated: { path: Path; offset: number }[] = []
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

  const value = (path: Path, key?: number): void => {
    if (path.length > MAX_DEPTH) fail('nested too deeply')
    places.set(pathKey(path), { value: at, ...(key === undefined ? {} : { key }) })
    if (here() === '{') members('}', path)
    else if (here() === '[') members(']', path)
    else if (here() === '"') string()
    else literal()
  }

  const literal = (): void => {
    const start = at
    if ((match(WORD) ?? match(NUMBER)) === undefined) fail(`a value is expected, ${found()}`)
    if (match(LITERAL) === undefined) return
    at = start
    fail(`a value is expected, ${found()}`)
  }

  const members = (end: '}' | ']', path: Path): void => {
    const start = at
    const keys = new Set<string>()
    at += 1
    space()
    if (here() === end) {
      at += 1
      return
    }
    for (let index = 0; ; index += 1) {
      if (end === ']') {
        value([...path, index])
      } else {
        const offset = at
        const key =
          here() === '"' ? (JSON.parse(string()) as string) : fail(`a key in double quotes is expected, ${found()}`)
        if (keys.has(key)) repeated.push({ path: [...path, key], offset })
        keys.add(key)
        space()
        if (here() !== ':') fail(`":" is expected after the key ${JSON.stringify(key)}, ${found()}`)
        at += 1
        space()
        value([...path, key], offset)
      }
      space()
      if (here() === end) {
        at += 1
        return
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

  const string = (): string =>
    match(STRING) ??
    fail('a string with a line break, a control character or an unknown escape in it, or without an end')

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
  value([])
  space()
  if (at < text.length) fail(`the document has ended, ${found()}`)
  return { value: JSON.parse(text), places, repeated }
}
