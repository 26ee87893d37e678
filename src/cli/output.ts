import { Trouble } from './command.ts'

/** `-o json` for parseArgs. */
export const OUTPUT = { type: 'string', short: 'o', default: 'text' } as const

export function outputOf(word: string): 'json' | 'text' {
  if (word === 'json' || word === 'text') return word
  throw new Trouble(`-o: must be json or text, is ${JSON.stringify(word)}`)
}
