/** Reads JSON as runtimes do, and remembers the offset of each part, so that messages can give line and column. */
import { createScanner, visit } from 'jsonc-parser'

/** Why a text is not JSON, and at which offset. */
export class JsonProblem extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** The offset of a value, that of its key, and the places of what is inside. */
export interface Place {
  readonly key?: number
  readonly value: number
  readonly inside?: ReadonlyMap<string | number, Place>
}

export interface JsonDocument {
  readonly value: unknown
  readonly place: Place
  /** Keys that appear again in the same object. The last one counts. */
  readonly repeated: readonly { readonly path: Path; readonly offset: number }[]
}

export type Path = readonly (string | number)[]

const MAX_DEPTH = 500

/** An object or list that is not closed yet. */
interface Open {
  readonly start: number
  readonly end: '}' | ']'
  readonly inside: Map<string | number, Place>
  /** For an object, the key whose value comes next. */
  key?: { readonly name: string; readonly offset: number }
}

/** What was read last. It decides what must come next. */
type Last = 'nothing' | 'open' | 'key' | ':' | ',' | 'value'

/** @throws JsonProblem where JSON.parse would throw too, but with the offset and what to do */
export function parseJson(text: string): JsonDocument {
  const repeated: { path: Path; offset: number }[] = []
  const open: Open[] = []
  let root: Place | undefined
  let last: Last = 'nothing'
  let comma = 0

  const add = (place: Place): void => {
    const outer = open.at(-1)
    if (!outer) root = place
    else if (outer.key) outer.inside.set(outer.key.name, { key: outer.key.offset, ...place })
    else outer.inside.set(outer.inside.size, place)
  }
  const begin = (end: Open['end']) => (start: number) => {
    if (open.length > MAX_DEPTH) throw new JsonProblem(start, 'nested too deeply')
    const inside = new Map<string | number, Place>()
    add({ value: start, inside })
    open.push({ start, end, inside })
    last = 'open'
  }
  const end = (offset: number): void => {
    if (offset >= text.length) throw problem(offset)
    open.pop()
    last = 'value'
  }
  const problem = (offset: number) => problemAt(text, offset, last, open.at(-1), comma)

  visit(
    text,
    {
      onObjectBegin: begin('}'),
      onArrayBegin: begin(']'),
      onObjectEnd: end,
      onArrayEnd: end,
      onObjectProperty: (name, offset, _length, _line, _column, pathOf) => {
        const outer = open.at(-1) as Open
        if (outer.inside.has(name)) repeated.push({ path: [...pathOf(), name], offset })
        outer.key = { name, offset }
        last = 'key'
      },
      onLiteralValue: (_value, offset, length) => {
        // jsonc-parser reads 007 as three numbers.
        if (text[offset] !== '"' && wordAt(text, offset).length > length) throw problem(offset)
        add({ value: offset })
        last = 'value'
      },
      onSeparator: (character, offset) => {
        if (character === ',') comma = offset
        last = character as ':' | ','
      },
      onError: (_code, offset) => {
        throw problem(offset)
      },
    },
    { disallowComments: true },
  )
  return { value: JSON.parse(text), place: root as Place, repeated }
}

function problemAt(text: string, offset: number, last: Last, outer: Open | undefined, comma: number): JsonProblem {
  const here = text[offset] ?? ''
  const found = foundAt(text, offset)
  const say = (message: string, at = offset) => new JsonProblem(at, message)
  if (outer && last === ',' && here === outer.end)
    return say(`a comma before "${outer.end}"; JSON allows none there, remove it`, comma)
  if (outer && here === '' && (last === 'value' || last === 'open'))
    return say(`this "${text[outer.start]}" is never closed; add "${outer.end}"`, outer.start)
  if (last === 'key') return say(`":" is expected after the key ${JSON.stringify(outer?.key?.name)}, ${found}`)
  if (last === 'value') {
    if (!outer) return say(`the document has ended, ${found}`)
    const isNext = /["[{\w-]/.test(here)
    return say(isNext ? 'a comma is missing before this' : `"," or "${outer.end}" is expected, ${found}`)
  }
  if (here === '"')
    return say('this string is never closed, or has a line break, a control character or an unknown escape in it')
  if (last !== ':' && outer?.end === '}') return say(`a key in double quotes is expected, ${found}`)
  return say(`a value is expected, ${found}`)
}

function foundAt(text: string, offset: number): string {
  if (offset >= text.length) return 'found the end'
  if (text[offset] === "'") return 'found a single quote; write double quotes'
  if (text[offset] === '#' || /^\/[/*]/.test(text.slice(offset, offset + 2)))
    return 'found a comment; JSON allows none, remove it'
  return `found ${JSON.stringify(wordAt(text, offset) || String.fromCodePoint(text.codePointAt(offset) ?? 0))}`
}

/** A word or number: everything up to white space or punctuation. */
function wordAt(text: string, offset: number): string {
  WORD.lastIndex = offset
  return WORD.exec(text)?.[0] ?? ''
}

const WORD = /[^ \t\n\r{}[\]":,/]+/y

/** The text between the quotes of the string at an offset, and where it begins. */
export function stringAt(text: string, offset: number): { readonly offset: number; readonly source: string } {
  const scanner = createScanner(text)
  scanner.setPosition(offset)
  scanner.scan()
  return { offset: offset + 1, source: text.slice(offset + 1, scanner.getPosition() - 1) }
}
