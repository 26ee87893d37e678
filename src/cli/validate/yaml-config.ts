import type { YamlProblem } from './yaml.ts'

/**
 * The one problem to tell if the first of `errors` is in the `config` of a NetworkAttachmentDefinition, where the parser
 * takes JSON for YAML and stumbles over each of its lines; undefined if it is elsewhere.
 * @param lines the whole file
 * @param errors those of one document
 */
export function inConfig(lines: readonly string[], errors: readonly YamlProblem[]): YamlProblem | undefined {
  const [first] = errors.toSorted((a, b) => a.position.line - b.position.line || a.position.column - b.position.column)
  if (!first) return undefined
  const { position } = first
  const last = position.line - 1
  const key = lineBefore(lines, last, (line) => KEY.test(line))
  const value = CONFIG.exec(lines[key] ?? '')?.[1]
  if (value === undefined || lineBefore(lines, key, (line) => KIND.test(line)) < 0) return undefined
  const cause = causeOf(value, lines.slice(key + 1, last + 1))
  return { position, message: `${cause}; write "config: |", and below it the JSON, indented by spaces` }
}

/** A key of a manifest. Those of JSON have quotes. */
const KEY = /^ *[A-Za-z][\w.-]*:(?:\s|$)/
const CONFIG = /^ *config:\s*(.*)$/
const KIND = /^kind: *["']?NetworkAttachmentDefinition\b/

/** The last line of the same document, up to `from`, for which `is` holds; -1 if there is none. */
function lineBefore(lines: readonly string[], from: number, is: (line: string) => boolean): number {
  for (let index = from; index >= 0; index -= 1) {
    const line = lines[index] ?? ''
    if (is(line)) return index
    if (line.startsWith('---')) return -1
  }
  return -1
}

function causeOf(value: string, below: readonly string[]): string {
  if (below.some((line) => /^ *\t/.test(line))) return 'a line is indented by a tab'
  if (/^["']/.test(value)) return 'its quotes end too early, or never'
  return 'the JSON is not indented, or has no "|" before it'
}
