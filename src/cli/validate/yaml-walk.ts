import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type YAMLMap,
} from 'yaml'

/** What one walk over a document finds. yaml's own functions for it search the whole document, or object, each time. */
export interface Walked {
  /** The nodes that aliases stand for. */
  readonly meant: ReadonlyMap<unknown, Node>
  /** The offsets of keys that appear again in the same object. */
  readonly repeated: readonly number[]
  /** What YAML allows, but the API server refuses. */
  readonly problems: readonly { readonly offset: number; readonly message: string }[]
}

/**
 * How many times longer a document may become when its aliases are replaced.
 * @see https://github.com/yaml/go-yaml/blob/v3/decode.go allowedAliasRatio
 */
const MAX_TIMES = 100

export function walk({ contents }: Document): Walked {
  const walker = new Walker()
  const length = walker.lengthOf(contents)
  if (contents && length > MAX_TIMES * walker.written)
    walker.report(
      contents,
      `aliases make it more than ${MAX_TIMES} times as long, which the API server refuses; use fewer`,
    )
  return walker
}

class Walker implements Walked {
  readonly meant = new Map<unknown, Node>()
  readonly repeated: number[] = []
  readonly problems: { offset: number; message: string }[] = []
  /** The length of the document as it is written. */
  written = 0
  readonly #anchored = new Map<string, Node>()
  /** The lengths of anchored nodes, each known only after its end. */
  readonly #lengths = new Map<Node, number>()

  report({ range }: Node, message: string): void {
    this.problems.push({ offset: range?.[0] ?? 0, message })
  }

  /** The length of a node with its aliases replaced. */
  lengthOf(node: unknown): number {
    if (isAlias(node)) return this.#lengthOfAlias(node)
    if (isPair(node)) return this.lengthOf(node.key) + this.lengthOf(node.value)
    if (!isNode(node)) return 0
    if (node.anchor) this.#anchored.set(node.anchor, node)
    const own = 1 + (isScalar(node) ? (node.source?.length ?? 0) : 0)
    this.written += own
    let length = own
    if (isMap(node)) length += this.#lengthOfMap(node)
    else if (isSeq(node)) for (const item of node.items) length += this.lengthOf(item)
    if (node.anchor) this.#lengths.set(node, length)
    return length
  }

  #lengthOfAlias(alias: Alias): number {
    this.written += 1
    const node = this.#anchored.get(alias.source)
    const length = node && this.#lengths.get(node)
    if (!node) this.report(alias, `*${alias.source} is not defined; write &${alias.source} before it`)
    else if (length === undefined) this.report(alias, `*${alias.source} is inside the node that it stands for`)
    else this.meant.set(alias, node)
    return length ?? 1
  }

  #lengthOfMap({ items }: YAMLMap): number {
    const keys = new Set<unknown>()
    let length = 0
    for (const { key, value } of items) {
      length += this.lengthOf(key) + this.lengthOf(value)
      const node = this.meant.get(key) ?? key
      if (isMap(node) || isSeq(node)) this.report(key as Node, 'a list or an object cannot be a key; write a string')
      if (!isScalar(key)) continue
      if (keys.has(key.value)) this.repeated.push(key.range?.[0] ?? 0)
      keys.add(key.value)
    }
    return length
  }
}

type Context = Parameters<Alias['resolve']>[1]

/** The value of a document without problems. */
export function plainValue(document: Document, { meant }: Walked): unknown {
  for (const [alias, node] of meant) {
    ;(alias as Alias).resolve = (_, context: Context) => {
      // A node that has only been merged has no value of its own yet.
      if (context && !context.anchors.has(node))
        context.anchors.set(node, { aliasCount: 0, count: 1, res: node.toJSON(null, context) })
      return node as ReturnType<Alias['resolve']>
    }
  }
  return document.toJS()
}
