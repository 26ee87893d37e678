import { type Document, isMap, isScalar, isSeq, type Node, parseAllDocuments, type Scalar } from 'yaml'
import type { Path } from './json.ts'
import { type Placed, type Position, positionsIn } from './position.ts'

/** One of the documents of a YAML file. */
export interface YamlDocument extends Placed {
  readonly errors: readonly { readonly position: Position; readonly message: string }[]
  /** For the string at `path`: where its characters stand in the file. */
  readonly within: (path: Path) => (offset: number) => Position
}

/** The documents of a file that have something in them. */
export function parseYaml(text: string): YamlDocument[] {
  const positionOf = positionsIn(text)
  // For its type only: an empty stream is not an array of documents.
  const documents: readonly Document[] = [...parseAllDocuments(text, { prettyErrors: false, keepSourceTokens: true })]
  return documents
    .filter((document) => document.errors.length > 0 || !isEmpty(document))
    .map((document) => {
      const at = placesOf(document, positionOf)
      const errors = document.errors.map(({ message, pos }) => ({ message, position: positionOf(pos[0]) }))
      return {
        value: errors.length > 0 ? undefined : toValue(document, errors, at),
        at,
        errors,
        within: within(document, text, at),
      }
    })
}

function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null)
}

function toValue(document: Document, errors: { position: Position; message: string }[], at: Placed['at']): unknown {
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
      let next: Node | null | undefined
      let key: Node | undefined
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step)
        key = pair?.key as Node | undefined
        next = pair?.value as Node | null | undefined
      } else if (isSeq(node)) {
        next = node.items[Number(step)] as Node | undefined
      }
      if (!next) return positionOf(key?.range?.[0] ?? offset)
      const named = what === 'key' && depth === path.length - 1 ? key : undefined
      offset = (named ?? next).range?.[0] ?? offset
      node = next
    }
    return positionOf(offset)
  }
}

/**
 * A literal block scalar (`config: |`) stands in the file line by line, indented; of every other way to write a string, only
 * where it begins can be told.
 */
function within(document: Document, text: string, at: Placed['at']): YamlDocument['within'] {
  return (path) => {
    const node = document.getIn(path, true)
    const start = at(path)
    if (!isScalar(node) || node.type !== 'BLOCK_LITERAL') return () => start
    const inside = positionsIn((node as Scalar<string>).value)
    const lines = { inFile: text.split('\n'), inValue: (node as Scalar<string>).value.split('\n') }
    return (offset) => {
      const { line, column } = inside(offset)
      // The first line of the value is the one after the line of `|`.
      const written = (lines.inFile[start.line + line - 1] ?? '').replace(/\r$/, '')
      const indent = Math.max(0, written.length - (lines.inValue[line - 1] ?? '').length)
      return { line: start.line + line, column: indent + column }
    }
  }
}
