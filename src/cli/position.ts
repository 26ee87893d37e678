import { isObject } from '../cni/request.ts'
import { MAX_KEY_LENGTH } from '../config/explain.ts'
import type { JsonDocument, Path, Place } from './json.ts'

/** Both from 1 on, as editors count. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A value out of a file that knows where its parts stand there. */
export interface Placed {
  readonly value: unknown
  /** Of the value at `path`, or of its key; where there is none, of what is nearest above it. */
  readonly at: At
  /** What it is a part of, and where: a part of a part knows the whole, so that one deep inside asks nobody in between. */
  readonly whole?: { readonly at: At; readonly base: Path }
}

type At = (path: Path, what?: 'value' | 'key') => Position

/** Tells line and column of an offset. */
export function positionsIn(text: string): (offset: number) => Position {
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return (offset) => {
    const line = Math.max(0, countBelow(starts, offset + 1) - 1)
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 }
  }
}

export function placedJson({ value, place }: JsonDocument, positionOf: (offset: number) => Position): Placed {
  return {
    value,
    at: (path, what = 'value') => {
      const { nearest, whole } = placeAt(place, path)
      return positionOf(whole && what === 'key' ? (nearest.key ?? nearest.value) : nearest.value)
    },
  }
}

/** The place at a path, or of what is nearest above it. */
export function placeAt(root: Place, path: Path): { readonly nearest: Place; readonly whole: boolean } {
  let nearest = root
  for (const step of path) {
    const next = nearest.inside?.get(step)
    if (!next) return { nearest, whole: false }
    nearest = next
  }
  return { nearest, whole: true }
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
export function below({ value, at, whole = { at, base: [] } }: Placed, step: Path): Placed {
  const base = [...whole.base, ...step]
  return {
    value: valueAt(value, step),
    at: (path, what) => whole.at([...base, ...path], what),
    whole: { at: whole.at, base },
  }
}

export function valueAt(value: unknown, path: Path): unknown {
  let part = value
  for (const step of path)
    part = isObject(part) || Array.isArray(part) ? (part as Record<string | number, unknown>)[step] : undefined
  return part
}

/**
 * The key path that a message of the plugin starts with, `routes[0].gw: …`, as far as `value` goes along. The value
 * decides, since a key may have dots and colons of its own.
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

/** The longest key of an object that a text starts with, as a step of a path. A message has no longer one: see keyText. */
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

/** A key may have megabytes, and a thousand others below it. */
function short(key: string): string {
  return key.length > MOST_SHOWN ? `${key.slice(0, MOST_SHOWN - 3)}...` : key
}

const MOST_SHOWN = 80
