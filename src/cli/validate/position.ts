import { isObject } from '../../cni/request.ts'
import { MAX_KEY_LENGTH } from '../../config/explain.ts'
import type { Path } from './json.ts'

/** Both start at 1, as in editors. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A value from a file, and the positions of its parts there. */
export interface Placed {
  readonly value: unknown
  /** The position of the value at `path` or of its key; if there is none, of the nearest value around it. */
  readonly at: (path: Path, what?: 'value' | 'key') => Position
  /** Returns a function from offsets in the string at `path` to positions in the file. */
  readonly within: (path: Path) => (offset: number) => Position
  /** The whole that it is a part of, and its path there. A part of a part refers to the whole too, so that look-ups stay short. */
  readonly whole?: Pick<Placed, 'at' | 'within'> & { readonly base: Path }
}

/** Returns a function from offsets to line and column. */
export function positionsIn(text: string): (offset: number) => Position {
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return (offset) => {
    const line = Math.max(0, countBelow(starts, offset + 1) - 1)
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 }
  }
}

/** How many of the ascending numbers are below `limit`. */
export function countBelow(numbers: readonly number[], limit: number): number {
  let [low, high] = [0, numbers.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((numbers[middle] ?? 0) < limit) low = middle + 1
    else high = middle
  }
  return low
}

/** The part of a placed value below `step`. */
export function below({ value, at, within, whole = { at, within, base: [] } }: Placed, step: Path): Placed {
  const base = [...whole.base, ...step]
  return {
    value: valueAt(value, step),
    at: (path, what) => whole.at([...base, ...path], what),
    within: (path) => whole.within([...base, ...path]),
    whole: { ...whole, base },
  }
}

export function valueAt(value: unknown, path: Path): unknown {
  let part = value
  for (const step of path)
    part = isObject(part) || Array.isArray(part) ? (part as Record<string | number, unknown>)[step] : undefined
  return part
}

/**
 * The key path that a message of the plugin starts with, `routes[0].gw: …`, as far as `value` has it. The value decides,
 * because a key may itself contain dots and colons.
 */
export function pathOf(message: string, value: unknown): Path {
  const path: (string | number)[] = []
  let rest = message
  for (let part = value; ; ) {
    const [brackets, index] = /^\[(\d+)\]/.exec(rest) ?? []
    if (brackets !== undefined && Array.isArray(part) && Number(index) in part) {
      part = part[Number(index)]
      path.push(Number(index))
      rest = rest.slice(brackets.length)
      continue
    }
    if (!isObject(part)) return path
    const text = path.length > 0 ? rest.replace(/^\./, '') : rest
    const key = keyBefore(text, part)
    if (key === undefined) return path
    part = part[key]
    path.push(key)
    rest = text.slice(key.length)
  }
}

/** The longest key of an object that a text starts with. Messages cut longer keys: see keyText. */
function keyBefore(text: string, part: Readonly<Record<string, unknown>>): string | undefined {
  for (let length = Math.min(text.length, MAX_KEY_LENGTH); length >= 0; length -= 1) {
    const key = text.slice(0, length)
    if (Object.hasOwn(part, key) && /^(?:[.[]|: )/.test(text.slice(length, length + 2))) return key
  }
  return undefined
}

export function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${short(step)}`)).join('')
}

/** A key may be megabytes long, and there may be a thousand inside it. */
function short(key: string): string {
  return key.length > MAX_SHOWN ? `${key.slice(0, MAX_SHOWN - 3)}...` : key
}

const MAX_SHOWN = 80
