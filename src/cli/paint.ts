import { styleText } from 'node:util'

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

/** Text out of a file or the kernel, without what would act on the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these it is about
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, '?')
}
