/** `validate` of a text on stdin, without a process: what it prints, and what it finds. */
import { validate as command } from '../../src/cli/validate.ts'

export const CALICO = { type: 'calico' }
export const OURS = { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }] }
export const TUNING = { type: 'tuning', capabilities: { mac: true } }

/** A plugin list, as JSON. */
export const list = (plugins: object[], more: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins, ...more })

/** @returns what it prints, line by line; the last line is the summary */
export async function validate(text: string, ...words: string[]): Promise<{ status: number; lines: string[] }> {
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

/** What it finds, without where and without the summary: `error: name: missing`. */
export async function findings(text: string): Promise<string[]> {
  const { lines } = await validate(text)
  return lines.slice(0, -1).map((line) => line.replace(/^stdin(?::\d+:\d+)?: /, ''))
}
