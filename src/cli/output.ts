/** `-o json`. */
export const OUTPUT = {
  short: 'o',
  words: ['text', 'json'],
  default: 'text',
  about: 'What to print: text, or one JSON document for programs.',
} as const

/** A value as one JSON document without control characters for a terminal. JSON itself does not escape all of them. */
export function jsonText(value: unknown): string {
  return `${harmless(JSON.stringify(value, null, 2))}\n`
}

/** The same on one line. */
export function jsonLine(value: unknown): string {
  return `${harmless(JSON.stringify(value))}\n`
}

function harmless(json: string): string {
  const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return json.replace(/[\x7f-\x9f\u2028\u2029]/g, escaped)
}
