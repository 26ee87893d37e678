import { Composer, type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node, Scalar, visit } from 'yaml'
import type { Path } from './json.ts'
import { type Placed, type Position, positionsIn } from './position.ts'
import { placesIn, type Style } from './scalar.ts'
import { tokensOf } from './yaml-tokens.ts'

export interface YamlProblem {
  readonly position: Position
  readonly message: string
}

/** One of the documents of a YAML file. */
export interface YamlDocument extends Placed {
  readonly errors: readonly YamlProblem[]
  /** Keys that stand a second time in one object, where the last one counts. */
  readonly repeated: readonly Position[]
  /** For the string at `path`: where its characters stand in the file. */
  readonly within: (path: Path) => (offset: number) => Position
}

/** `merge`: the API server's decoder is one of YAML 1.1. `logLevel`: nobody gets warnings of Node.js. */
const OPTIONS = { prettyErrors: false, merge: true, logLevel: 'error' } as const

/** The documents of a file that have something in them. */
export function parseYaml(text: string): YamlDocument[] {
  const positionOf = positionsIn(text)
  try {
    return compose(text)
      .filter((document) => document.errors.length > 0 || !isEmpty(document))
      .map((document) => read(document, text, positionOf))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return [unreadable('nested too deeply')]
  }
}

/** As strictly as possible, for the sake of what is then said, and as leniently as necessary. */
function compose(text: string): Document[] {
  const by = (lenient: boolean) => [...new Composer(OPTIONS).compose(tokensOf(text, lenient))]
  const isBroken = ({ errors }: Document) => errors.some((error) => !isRepeated(error))
  const strict = by(false)
  if (!strict.some(isBroken)) return strict
  const lenient = by(true)
  return lenient.some(isBroken) ? strict : lenient
}

const isRepeated = ({ code }: { readonly code: string }) => code === 'DUPLICATE_KEY'

function unreadable(message: string): YamlDocument {
  const start = { line: 1, column: 1 }
  const at = () => start
  return { value: undefined, at, errors: [{ position: start, message }], repeated: [], within: () => at }
}

function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null)
}

function read(document: Document, text: string, positionOf: (offset: number) => Position): YamlDocument {
  const place = ({ message, pos: [offset] }: { message: string; pos: [number, number] }): YamlProblem => ({
    message,
    position: positionOf(offset),
  })
  const at = placesOf(document, positionOf)
  const errors = document.errors.filter((error) => !isRepeated(error)).map(place)
  if (errors.length === 0) errors.push(...keysThatAreNone(document, positionOf))
  return {
    value: errors.length > 0 ? undefined : toValue(document, errors, at),
    at,
    errors,
    repeated: document.errors.filter(isRepeated).map(({ pos: [offset] }) => positionOf(offset)),
    within: within(document, text, positionOf, at),
  }
}

/** A list or an object can be a key in YAML, and in nothing else. */
function keysThatAreNone(document: Document, positionOf: (offset: number) => Position): YamlProblem[] {
  const problems: YamlProblem[] = []
  visit(document, {
    Pair: (_, { key }) => {
      if (!isMap(key) && !isSeq(key)) return
      const message = 'a list or an object stands in the place of a key'
      problems.push({ position: positionOf(key.range?.[0] ?? 0), message })
    },
  })
  return problems
}

function toValue(document: Document, errors: YamlProblem[], at: Placed['at']): unknown {
  try {
    return document.toJS()
  } catch (error) {
    // An alias of something that is not there, or so many that they would fill the memory.
    errors.push({ position: at([]), message: (error as Error).message })
    return undefined
  }
}

function placesOf(document: Document, positionOf: (offset: number) => Position): Placed['at'] {
  return (path, what = 'value') => {
    let node = document.contents as Node | null
    let offset = node?.range?.[0] ?? 0
    for (const [depth, step] of path.entries()) {
      const { key, value } = childOf(document, node, step)
      if (!value) return positionOf(key?.range?.[0] ?? offset)
      const named = what === 'key' && depth === path.length - 1 ? key : undefined
      offset = (named ?? value).range?.[0] ?? offset
      node = value
    }
    return positionOf(offset)
  }
}

function childOf(document: Document, parent: Node | null, step: string | number): { key?: Node; value?: Node } {
  const node = resolved(document, parent)
  if (isSeq(node)) {
    const value = node.items[Number(step)]
    return isNode(value) ? { value } : {}
  }
  if (!isMap(node)) return {}
  // Of two the last one counts.
  const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(step))
  return { ...(isNode(pair?.key) ? { key: pair.key } : {}), ...(isNode(pair?.value) ? { value: pair.value } : {}) }
}

/** What an alias stands for. */
function resolved(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node
}

const STYLES: Readonly<Record<string, Style>> = {
  [Scalar.PLAIN]: 'plain',
  [Scalar.QUOTE_SINGLE]: 'single',
  [Scalar.QUOTE_DOUBLE]: 'double',
  [Scalar.BLOCK_LITERAL]: 'block',
  [Scalar.BLOCK_FOLDED]: 'block',
}

function within(
  document: Document,
  text: string,
  positionOf: (offset: number) => Position,
  at: Placed['at'],
): YamlDocument['within'] {
  return (path) => {
    let node = document.contents as Node | null
    for (const step of path) node = childOf(document, node, step).value ?? null
    node = resolved(document, node)
    const style = isScalar(node) ? STYLES[node.type ?? ''] : undefined
    if (!isScalar(node) || !node.range || style === undefined) return () => at(path)
    const [start, end] = bounds(text, node.range, style)
    const place = placesIn(text.slice(start, end), style, String(node.value))
    return place ? (offset) => positionOf(start + place(offset)) : () => at(path)
  }
}

/** Without the quotes, or the line of `|`. */
function bounds(text: string, [start, end]: readonly [number, number, number], style: Style): [number, number] {
  if (style === 'plain') return [start, end]
  return style === 'block' ? [text.indexOf('\n', start) + 1, end] : [start + 1, end - 1]
}
