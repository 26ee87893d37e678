import { isObject } from '../request.ts'
import { type JsonDocument, type Path, pathKey } from './json.ts'

/** Both from 1 on, as editors count. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A value out of a file that knows where its parts stand there. */
export interface Placed {
  readonly value: unknown
  /** Of the value at `path`, or of its key; where there is none, of what is nearest above it. */
  readonly at: (path: Path, what?: 'value' | 'key') => Position
}

/** Tells line and column of an offset. */
export function positionsIn(text: string): (offset: number) => Position {
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return (offset) => {
    let line = starts.findLastIndex((start) => start <= offset)
    if (line < 0) line = 0
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 }
  }
}

export function placedJson({ value, places }: JsonDocument, positionOf: (offset: number) => Position): Placed {
  return {
    value,
    at: (path, what = 'value') => {
      for (let length = path.length; length >= 0; length -= 1) {
        const place = places.get(pathKey(path.slice(0, length)))
        if (place)
          return positionOf(what === 'key' && length === path.length ? (place.key ?? place.value) : place.value)
      }
      return positionOf(0)
    },
  }
}

/** The part of a placed value below `base`. */
export function below({ value, at }: Placed, base: Path): Placed {
  return { value: valueAt(value, base), at: (path, what) => at([...base, ...path], what) }
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
    const [key] = Object.keys(part)
      .filter((name) => text.startsWith(name) && /^(?:[.[]|: )/.test(text.slice(name.length)))
      .sort((a, b) => b.length - a.length)
    if (key === undefined) return path
    part = part[key]
    path.push(key)
    rest = text.slice(key.length)
  }
}

export function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${step}`)).join('')
}
