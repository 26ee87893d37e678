import { Composer, type Document, isMap, isNode, isScalar, isSeq, type Node, Scalar, type YAMLMap } from 'yaml'
import { type Placed, type Position, positionsIn } from './position.ts'
import { placesIn, type Style } from './scalar.ts'
import { tokensOf } from './yaml-tokens.ts'
import { plainValue, type Walked, walk } from './yaml-walk.ts'

export interface YamlProblem {
  readonly position: Position
  readonly message: string
}

/** A document of a YAML file. */
export interface YamlDocument extends Placed {
  readonly errors: readonly YamlProblem[]
  /** Keys that appear again in the same object. The last one counts. */
  readonly repeated: readonly Position[]
}

/**
 * `merge`: the API server's decoder reads YAML 1.1. `logLevel`: no warnings through Node.js. `uniqueKeys`: yaml compares
 * every key with every other; yaml-walk.ts finds repeated keys faster.
 */
const OPTIONS = { prettyErrors: false, merge: true, logLevel: 'error', uniqueKeys: false } as const

/** The documents of a file that are not empty. */
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

/** Strict if possible, because that gives better messages, and lenient if necessary. */
function compose(text: string): Document[] {
  const by = (lenient: boolean) => [...new Composer(OPTIONS).compose(tokensOf(text, lenient))]
  const isBroken = ({ errors }: Document) => errors.length > 0
  const strict = by(false)
  if (!strict.some(isBroken)) return strict
  const lenient = by(true)
  return lenient.some(isBroken) ? strict : lenient
}

function unreadable(message: string): YamlDocument {
  const start = { line: 1, column: 1 }
  const at = () => start
  return { value: undefined, at, errors: [{ position: start, message }], repeated: [], within: () => at }
}

function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null)
}

function read(document: Document, text: string, positionOf: (offset: number) => Position): YamlDocument {
  const walked = walk(document)
  const child = childrenIn(walked)
  const at = placesOf(document, child, positionOf)
  const broken = document.errors.map(({ message, pos: [offset] }) => ({ message, offset }))
  const errors = (broken.length > 0 ? broken : walked.problems).map(({ message, offset }) => ({
    message,
    position: positionOf(offset),
  }))
  return {
    value: errors.length > 0 ? undefined : toValue(document, walked, errors, at),
    at,
    errors,
    repeated: walked.repeated.map(positionOf),
    within: within({ document, walked, child, text, positionOf, at }),
  }
}

function toValue(document: Document, walked: Walked, errors: YamlProblem[], at: Placed['at']): unknown {
  try {
    return plainValue(document, walked)
  } catch (error) {
    // For example a merge of something that is not an object.
    if (error instanceof RangeError) throw error
    errors.push({ position: at([]), message: (error as Error).message })
    return undefined
  }
}

function placesOf(document: Document, child: ChildOf, positionOf: (offset: number) => Position): Placed['at'] {
  return (path, what = 'value') => {
    let node = document.contents as Node | null
    let offset = node?.range?.[0] ?? 0
    for (const [depth, step] of path.entries()) {
      const { key, value } = child(node, step)
      if (!value) return positionOf(key?.range?.[0] ?? offset)
      const named = what === 'key' && depth === path.length - 1 ? key : undefined
      offset = (named ?? value).range?.[0] ?? offset
      node = value
    }
    return positionOf(offset)
  }
}

interface Child {
  readonly key?: Node
  readonly value?: Node
}

type ChildOf = (parent: Node | null, step: string | number) => Child

/** Looks into objects and lists, also through aliases. */
function childrenIn({ meant }: Walked): ChildOf {
  const members = new Map<Node, ReadonlyMap<string, Child>>()
  return (parent, step) => {
    const node = meant.get(parent) ?? parent
    if (isSeq(node)) {
      const value = node.items[Number(step)]
      return isNode(value) ? { value } : {}
    }
    if (!isMap(node)) return {}
    const known = members.get(node) ?? membersOf(node)
    members.set(node, known)
    return known.get(String(step)) ?? {}
  }
}

/** If a key is repeated, the last one counts. */
function membersOf({ items }: YAMLMap): ReadonlyMap<string, Child> {
  return new Map(
    items.flatMap(({ key, value }) => {
      if (!isScalar(key)) return []
      return [[String(key.value), { key, ...(isNode(value) ? { value } : {}) }] as const]
    }),
  )
}

const STYLES: Readonly<Record<string, Style>> = {
  [Scalar.PLAIN]: 'plain',
  [Scalar.QUOTE_SINGLE]: 'single',
  [Scalar.QUOTE_DOUBLE]: 'double',
  [Scalar.BLOCK_LITERAL]: 'block',
  [Scalar.BLOCK_FOLDED]: 'block',
}

/** A document that is being read. */
interface Reading extends Pick<Placed, 'at'> {
  readonly document: Document
  readonly walked: Walked
  readonly child: ChildOf
  /** The text of the whole file. */
  readonly text: string
  readonly positionOf: (offset: number) => Position
}

function within({ document, walked: { meant }, child, text, positionOf, at }: Reading): YamlDocument['within'] {
  return (path) => {
    let node = document.contents as Node | null
    for (const step of path) node = child(node, step).value ?? null
    node = meant.get(node) ?? node
    const style = isScalar(node) ? STYLES[node.type ?? ''] : undefined
    if (!isScalar(node) || !node.range || style === undefined) return () => at(path)
    const [start, end] = bounds(text, node.range, style)
    const place = placesIn(text.slice(start, end), style, String(node.value))
    return place ? (offset) => positionOf(start + place(offset)) : () => at(path)
  }
}

/** The range without the quotes, or without the line of `|`. */
function bounds(text: string, [start, end]: readonly [number, number, number], style: Style): [number, number] {
  if (style === 'plain') return [start, end]
  return style === 'block' ? [text.indexOf('\n', start) + 1, end] : [start + 1, end - 1]
}
