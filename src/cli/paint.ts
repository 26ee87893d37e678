import { styleText } from 'node:util'

/** The parts of a terminal that decide what may be written to it. */
interface Painted {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly colors: boolean
  readonly progress: boolean
}

type Color = 'bold' | 'cyan' | 'dim' | 'green' | 'red' | 'yellow'
export type Paint = (color: Color, text: string) => string

/** Colours text, or leaves it as it is. */
export function painter(colors: boolean): Paint {
  return (color, text) => (colors ? styleText(color, text, { validateStream: false }) : text)
}

/** `1 error`, `2 errors`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/**
 * Text from a file or the kernel, without the control characters that a terminal would obey, and without the commands that
 * the logs of GitHub and Azure Pipelines obey anywhere in a line: `##[add-mask]`, `##vso[task.setvariable]`.
 * @see https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs TryParse
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, '?').replace(/##(?=\[|vso\[)/gi, '#?')
}

/**
 * A terminal that gets no control sequences but our own: colours, and overwriting a line of progress. Commands make what
 * they print of files printable themselves; this is for what they forget.
 */
export function obeyingNobody<T extends Painted>(terminal: T): T {
  const { colors, progress } = terminal
  return {
    ...terminal,
    out: (text: string) => terminal.out(harmless(text, (sequence) => colors && sequence.endsWith('m'))),
    err: (text: string) => terminal.err(harmless(text, (sequence) => progress && sequence === '\r\x1b[K')),
  }
}

function harmless(text: string, isOurs: (sequence: string) => boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
  return text.replace(/\r?\x1b\[\d*[mK]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/g, (found) =>
    isOurs(found) ? found : printable(found),
  )
}
