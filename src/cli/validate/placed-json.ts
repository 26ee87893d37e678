/** Parts of JSON, with their positions in the file that it is in. */
import { type JsonDocument, type Path, type Place, stringAt } from './json.ts'
import { type Placed, type Position, valueAt } from './position.ts'
import { placesIn } from './scalar.ts'

/** @param positionOf maps offsets in `text`, which `document` was read from, to positions in the file */
export function placedJson(
  text: string,
  { value, place }: JsonDocument,
  positionOf: (offset: number) => Position,
): Placed {
  const at: Placed['at'] = (path, what) => positionOf(offsetAt(place, path, what))
  return {
    value,
    at,
    within: (path) => {
      const { offset, source } = stringAt(text, placeAt(place, path).nearest.value)
      const places = placesIn(source, 'double', String(valueAt(value, path)))
      return places ? (inner) => positionOf(offset + places(inner)) : () => at(path)
    },
  }
}

/** The place of what is in a string, whose parts have paths that go on from that of the string. */
export interface Inside {
  readonly path: Path
  readonly place: Place
}

/** `placed` with the positions of what is in some of its strings, too. */
export function lookingInto(placed: Placed, insides: readonly Inside[]): Placed {
  if (insides.length === 0) return placed
  const { value, within } = placed
  const strings = insides.map(({ path, place }) => ({ path, place, positionOf: once(() => within(path)) }))
  return {
    value,
    within,
    at: (path, what) => {
      const string = strings.find((one) => one.path.every((step, index) => step === path[index]))
      if (!string) return placed.at(path, what)
      return string.positionOf()(offsetAt(string.place, path.slice(string.path.length), what))
    },
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** The offset of the value at a path or of its key; if there is none, of the nearest value around it. */
function offsetAt(root: Place, path: Path, what: 'value' | 'key' = 'value'): number {
  const { nearest, whole } = placeAt(root, path)
  return whole && what === 'key' ? (nearest.key ?? nearest.value) : nearest.value
}

/** The place at a path, or the nearest one around it. */
function placeAt(root: Place, path: Path): { readonly nearest: Place; readonly whole: boolean } {
  let nearest = root
  for (const step of path) {
    const next = nearest.inside?.get(step)
    if (!next) return { nearest, whole: false }
    nearest = next
  }
  return { nearest, whole: true }
}
