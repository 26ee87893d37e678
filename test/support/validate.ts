/** `validate` of a text on stdin, without a process: what it prints, and what it finds. */
import { validate as command } from '../../src/cli/validate/validate.ts'

export const CALICO = { type: 'calico' }
export const OURS = { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }] }
export const TUNING = { type: 'tuning', capabilities: { mac: true } }

/** A plugin list, as JSON. */
export const list = (plugins: object[], more: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins, ...more })

/** @returns what it prints, line by line, without the codes of findings; the last line is the summary */
export async function validate(text: string, ...words: string[]): Promise<{ status: number; lines: string[] }> {
  const { status, lines } = await printed(text, ...words)
  return { status, lines: lines.map((line) => (FOUND.test(line) ? withoutCode(line) : line)) }
}

/** As `validate`, and the lines are as they are printed. */
export async function printed(text: string, ...words: string[]): Promise<{ status: number; lines: string[] }> {
  let out = ''
  const terminal = {
    out: (part: string) => {
      out += part
    },
    err: () => {},
    input: () => text,
    colors: false,
    progress: false,
  }
  const status = await command.run([...words, '-'], terminal)
  return { status, lines: out.trimEnd().split('\n') }
}

/** What it finds, without where, without its code and without the summary: `error: name: missing`. */
export async function findings(text: string): Promise<string[]> {
  const { lines } = await validate(text)
  return lines.slice(0, -1).map((line) => line.replace(/^stdin(?::\d+:\d+)?: /, ''))
}

/** Where it finds what: `5:12 XCR103`. */
export async function codes(text: string): Promise<string[]> {
  const { lines } = await printed(text)
  return lines.slice(0, -1).map((line) => line.replace(/^stdin:(?:(\d+:\d+): )?.* \[(XCR\d{3})\]$/, '$1 $2').trim())
}

const FOUND = /^stdin(?::\d+:\d+)?: (?:error|warning|note): /

function withoutCode(line: string): string {
  const [, said] = /^(.*) \[XCR\d{3}\]$/.exec(line) ?? []
  if (said === undefined) throw new Error(`no code at the end of: ${line}`)
  return said
}
