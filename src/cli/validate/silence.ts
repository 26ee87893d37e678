import { CODES, type FindingCode, isCode } from './codes.ts'
import { type Finding, finding } from './finding.ts'
import type { Position } from './position.ts'

/** One code in a comment of a YAML file: `# x-calico-route: ignore XCR205`. */
export interface Silencer {
  readonly code: string
  readonly position: Position
  /** The lines that it is about, first and last. */
  readonly from: number
  readonly to: number
}

/** What remains of findings, and how many comments have silenced. */
export interface Silenced {
  readonly findings: readonly Finding[]
  readonly silenced: number
}

const COMMENT = /(?:^|\s)(#\s*x-calico-route:\s*ignore\b)(.*)$/

/**
 * The silencers of a YAML file. A comment is about its line, or about the next one if it has a line of its own, and about
 * all that is indented below that. Above the first line of a document it is about the whole document.
 */
export function silencersIn(text: string): Silencer[] {
  if (!text.includes('x-calico-route:')) return []
  const lines = text.split(/\r?\n/)
  const found: Silencer[] = []
  let above: ReturnType<typeof wordsAt> = []
  let last: number | undefined
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('---')) last = undefined
    if (/^---|^\s*$|^%/.test(line)) continue
    const words = wordsAt(line, index)
    if (/^\s*#/.test(line)) {
      above.push(...words)
      continue
    }
    const isHead = last === undefined
    last ??= endOfDocument(lines, index)
    const to = above.length + words.length > 0 ? endOfBlock(lines, index) : index
    for (const word of above) found.push({ ...word, from: index + 1, to: (isHead ? last : to) + 1 })
    for (const word of words) found.push({ ...word, from: index + 1, to: to + 1 })
    above = []
  }
  return found
}

/** The codes that the comment in a line names; one that is empty if it names none. */
function wordsAt(line: string, index: number): Pick<Silencer, 'code' | 'position'>[] {
  const [, comment, rest = ''] = COMMENT.exec(line) ?? []
  if (comment === undefined) return []
  const position = { line: index + 1, column: line.indexOf(comment) + 1 }
  const [codes = ''] = /^(?:[\s,]*XCR\w*)*/.exec(rest) ?? []
  return (codes.match(/XCR\w*/g) ?? ['']).map((code) => ({ code, position }))
}

function endOfDocument(lines: readonly string[], from: number): number {
  for (let index = from; index < lines.length; index += 1) if (lines[index]?.startsWith('---')) return index - 1
  return lines.length - 1
}

/** The last line of what is indented below a line. The items of a list may be as little indented as its key. */
function endOfBlock(lines: readonly string[], from: number): number {
  const indent = (line: string) => line.search(/\S|$/)
  const isItem = (line: string) => /^\s*-(?:\s|$)/.test(line)
  const first = lines[from] ?? ''
  for (let index = from + 1; index < lines.length; index += 1) {
    const line = lines[index] ?? ''
    if (line.trim() === '' || indent(line) > indent(first)) continue
    if (indent(line) < indent(first) || !isItem(line) || isItem(first)) return index - 1
  }
  return lines.length - 1
}

/** Leaves out the findings that comments silence, and notes the comments that silence nothing. Errors stay. */
export function withoutSilenced(findings: readonly Finding[], silencers: readonly Silencer[]): Silenced {
  if (silencers.length === 0) return { findings, silenced: 0 }
  const byCode = Map.groupBy(silencers, ({ code }) => code)
  const used = new Set<Silencer>()
  const silenced = new Set<Finding>()
  for (const [code, same] of Map.groupBy(findings, (one) => one.code)) {
    if (CODES[code].severity === 'error') continue
    const innermost = innermostIn(byCode.get(code) ?? [])
    for (const one of same.toSorted((a, b) => lineOf(a) - lineOf(b))) {
      const silencer = innermost(lineOf(one))
      if (!silencer) continue
      used.add(silencer)
      silenced.add(one)
    }
  }
  const idle = silencers.filter((one) => !used.has(one))
  const notes = idle.map(({ code, position }) => finding('XCR020', whyIdle(code), { position }))
  return { findings: [...findings.filter((one) => !silenced.has(one)), ...notes], silenced: silenced.size }
}

/** What is about the file as a whole has no line, and no comment is about that. */
const lineOf = ({ position }: Finding) => position?.line ?? 0

/** Returns a function from ascending lines to the narrowest silencer around each. Silencers never overlap in part. */
function innermostIn(silencers: readonly Silencer[]): (line: number) => Silencer | undefined {
  const open: Silencer[] = []
  let next = 0
  return (line) => {
    for (let one = silencers[next]; one && one.from <= line; one = silencers[next]) {
      open.push(one)
      next += 1
    }
    for (let one = open.at(-1); one && one.to < line; one = open.at(-1)) open.pop()
    return open.at(-1)
  }
}

function whyIdle(code: string): string {
  if (code === '') return 'no code after "ignore"; write one, such as XCR205'
  if (!isCode(code)) return `no finding has the code ${code}; write the one at the end of its line`
  return isError(code)
    ? `${code} is an error, which cannot be silenced; remove this comment`
    : `${code} was not found here; remove this comment`
}

const isError = (code: FindingCode) => CODES[code].severity === 'error'
