import { CniError, Code } from '../errors.ts'

/**
 * `args` is the part of the network configuration that whoever writes a pod controls (Multus: cni-args of an
 * annotation, up to 256 KiB). All processes of one build hash strings with the same seed, which anybody can read from
 * the executable: some ten thousand keys with the same hash would keep JSON.parse busy for seconds. So it never sees
 * more characters of `args` than this, enough for some 400 routes.
 */
const MAX_CHARACTERS = 16_384

/** The text of a network configuration that is safe to parse. */
export interface Bounded {
  readonly text: string
  /** Set if `args` was too long and was left out: the error that every verb but DEL fails with. */
  readonly refusal?: CniError
}

/** @param text presumably JSON; parsing it finds out */
export function boundArgs(text: string): Bounded {
  if (text.length <= MAX_CHARACTERS || !text.includes('"args"')) return { text }
  const excess = membersNamedArgs(text).filter(({ start, end }) => end - start > MAX_CHARACTERS)
  const [first] = excess
  if (!first) return { text }
  const rest = excess.reduceRight((left, { start, end }) => `${left.slice(0, start)}"args":{}${left.slice(end)}`, text)
  return {
    text: rest,
    refusal: new CniError(
      Code.overrideNotAllowed,
      `args: has ${first.end - first.start} characters; at most ${MAX_CHARACTERS} are read; shorten the cni-args of the pod`,
    ),
  }
}

const STRUCTURE = /["{}[\],]/g

/** The offsets of the members named `args` of the outermost object. */
function membersNamedArgs(text: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = []
  let depth = 0
  let start: number | undefined
  STRUCTURE.lastIndex = 0
  for (let match = STRUCTURE.exec(text); match; match = STRUCTURE.exec(text)) {
    const at = match.index
    const [char] = match
    if (char === '"') {
      const end = endOfString(text, at)
      if (depth === 1 && start === undefined && text.slice(at, end) === '"args"') start = at
      STRUCTURE.lastIndex = end
      continue
    }
    if (depth === 1 && start !== undefined && (char === ',' || char === '}')) {
      found.push({ start, end: at })
      start = undefined
    }
    if (char === '{' || char === '[') depth += 1
    else if (char !== ',') depth -= 1
  }
  return found
}

/** The offset after the closing quote of the string that starts at `at`. */
function endOfString(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1
    if (backslashes % 2 === 0) return quote + 1
  }
  return text.length
}
