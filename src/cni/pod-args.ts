import { CniError, Code } from '../errors.ts'

/**
 * `args` is the part of the network configuration that whoever writes a pod writes (Multus: cni-args of an annotation,
 * up to 256 KiB). All processes of one build hash strings with one seed, which everybody can read: a few ten thousand keys of
 * one hash, and JSON.parse takes seconds. So it never sees more than this many characters of them: some 400 routes.
 */
const MOST_CHARACTERS = 16_384

/** What may be parsed of a network configuration. */
export interface Bounded {
  readonly text: string
  /** Set if `args` was too long, and is left out: what ADD is to say. */
  readonly refusal?: CniError
}

/** @param text JSON, as far as anybody knows; what is no JSON is found out when it is parsed */
export function boundArgs(text: string): Bounded {
  if (text.length <= MOST_CHARACTERS || !text.includes('"args"')) return { text }
  const excess = membersNamedArgs(text).filter(({ start, end }) => end - start > MOST_CHARACTERS)
  const [first] = excess
  if (!first) return { text }
  const rest = excess.reduceRight((left, { start, end }) => `${left.slice(0, start)}"args":{}${left.slice(end)}`, text)
  return {
    text: rest,
    refusal: new CniError(
      Code.overrideNotAllowed,
      `args: ${first.end - first.start} characters, no more than ${MOST_CHARACTERS} are read; shorten the cni-args of the pod`,
    ),
  }
}

const STRUCTURE = /["{}[\],]/g

/** Where the members `args` of the outermost object begin and end. */
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

/** The offset behind the quote that ends the string which begins at `at`. */
function endOfString(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1
    if (backslashes % 2 === 0) return quote + 1
  }
  return text.length
}
