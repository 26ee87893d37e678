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

/** What one walk over a document finds. yaml's own ways to find it look through the whole document, or object, each time. */
export interface Walked {
  /** What the aliases stand for. */
  readonly meant: ReadonlyMap<unknown, Node>
  /** Offsets of keys that stand a second time in one object. */
  readonly repeated: readonly number[]
  /** What YAML takes, and the API server does not. */
  readonly problems: readonly { readonly offset: number; readonly message: string }[]
}

/**
 * How many times longer a document may be with its aliases put in.
 * @see https://github.com/yaml/go-yaml/blob/v3/decode.go allowedAliasRatio
 */
const MOST_TIMES = 100

export function walk({ contents }: Document): Walked {
  const meant = new Map<Alias, Node>()
  const repeated: number[] = []
  const problems: { offset: number; message: string }[] = []
  const say = ({ range }: Node, message: string) => void problems.push({ offset: range?.[0] ?? 0, message })
  const named = new Map<string, Node>()
  /** Of what has a name, with aliases put in; not before its end has been seen. */
  const lengths = new Map<Node, number>()
  let written = 0

  const ofAlias = (alias: Alias): number => {
    written += 1
    const node = named.get(alias.source)
    const length = node && lengths.get(node)
    if (!node) say(alias, `*${alias.source} stands for nothing, there is no &${alias.source} before it`)
    else if (length === undefined) say(alias, `*${alias.source} stands in the place of a part of itself`)
    else meant.set(alias, node)
    return length ?? 1
  }

  const ofMap = ({ items }: YAMLMap): number => {
    const keys = new Set<unknown>()
    let length = 0
    for (const { key, value } of items) {
      length += of(key) + of(value)
      const node = meant.get(key as Alias) ?? key
      if (isMap(node) || isSeq(node)) say(key as Node, 'a list or an object stands in the place of a key')
      if (!isScalar(key)) continue
      if (keys.has(key.value)) repeated.push(key.range?.[0] ?? 0)
      keys.add(key.value)
    }
    return length
  }

  /** @returns its length with aliases put in */
  const of = (node: unknown): number => {
    if (isAlias(node)) return ofAlias(node)
    if (isPair(node)) return of(node.key) + of(node.value)
    if (!isNode(node)) return 0
    if (node.anchor) named.set(node.anchor, node)
    const own = 1 + (isScalar(node) ? (node.source?.length ?? 0) : 0)
    written += own
    let length = own
    if (isMap(node)) length += ofMap(node)
    else if (isSeq(node)) for (const item of node.items) length += of(item)
    if (node.anchor) lengths.set(node, length)
    return length
  }

  const read = of(contents)
  if (contents && read > MOST_TIMES * written)
    say(contents, `aliases make it more than ${MOST_TIMES} times as long, which the API server refuses`)
  return { meant, repeated, problems }
}

type Context = Parameters<Alias['resolve']>[1]

/** The values of a document in which nothing is wrong. */
export function plainValue(document: Document, { meant }: Walked): unknown {
  for (const [alias, node] of meant) {
    ;(alias as Alias).resolve = (_, context: Context) => {
      // What is only merged has no value of its own yet.
      if (context && !context.anchors.has(node))
        context.anchors.set(node, { aliasCount: 0, count: 1, res: node.toJSON(null, context) })
      return node as ReturnType<Alias['resolve']>
    }
  }
  return document.toJS()
}
