import { parseArgs } from 'node:util'
import leven from 'leven'
import { Trouble } from '../command.ts'
import {
  type Argument,
  COMMON,
  calledAs,
  type Definition,
  type Given,
  type Options,
  optionsOf,
  takesValue,
} from './definition.ts'

export type Color = (typeof COMMON.color.words)[number]

/** Whether help is asked for, whatever else is. */
export function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? undefined : end).some((word) => word === '--help' || word === '-h')
}

/** What of colours is asked for, as far as that can be told of words that are not checked. */
export function colorIn(words: readonly string[]): Color {
  const { color } = tokensOf(COMMON, words).values
  return COMMON.color.words.find((word) => word === color) ?? 'auto'
}

/** @throws Trouble for words that the definition does not know */
export function parse(definition: Definition, words: readonly string[]): Given {
  const options = optionsOf(definition)
  const { positionals, tokens } = tokensOf(options, words)
  const fail = (text: string): never => {
    throw new Trouble(`${text}\nSee ${calledAs(definition)} --help.`)
  }
  const values: Record<string, string[]> = {}
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const problem = optionProblem(definition, options, token)
    if (problem !== undefined) fail(problem)
    values[token.name] = [...(values[token.name] ?? []), token.value ?? options[token.name]?.without ?? '']
  }
  const problem = argumentProblem(definition.argument, positionals)
  if (problem !== undefined) fail(problem)
  return { options: valuesOf(options, values), words: positionals }
}

/** The words up to the first that is no option, that one, and those after it. */
export function splitAtCommand(root: Definition, words: readonly string[]) {
  const first = tokensOf(optionsOf(root), words).tokens.find(({ kind }) => kind !== 'option')
  const at = first?.index ?? words.length
  return { before: words.slice(0, at), name: words[at], rest: words.slice(at + 1) }
}

/** Not strict: then nothing is thrown, and what is wrong is told in words of ours. */
function tokensOf(options: Options, words: readonly string[]) {
  return parseArgs({
    args: [...words],
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(options).map(([name, option]) => [
        name,
        {
          type: takesValue(option) && option.without === undefined ? 'string' : 'boolean',
          ...(option.short ? { short: option.short } : {}),
        } as const,
      ]),
    ),
  })
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

function optionProblem(
  definition: Definition,
  options: Options,
  { name, rawName, value, inlineValue }: OptionToken,
): string | undefined {
  const option = Object.hasOwn(options, name) ? options[name] : undefined
  if (!option) return unknownOption(rawName, definition, options)
  if (!takesValue(option)) return value === undefined ? undefined : `${rawName}: takes no value`
  const needs = `${rawName}: needs a value: ${rawName} ${option.words?.join('|') ?? option.value}`
  if (value === undefined) return option.without === undefined ? needs : undefined
  if (!inlineValue && /^-./.test(value)) return `${needs}; one that begins with a dash is written ${rawName}=-…`
  if (option.words && !option.words.includes(value)) return wrongWord(rawName, option.words, value)
  return undefined
}

/** Longer words are not misspelt options. */
const MOST = 40

function unknownOption(word: string, definition: Definition, options: Options): string {
  const names = Object.keys(options).map((name) => `--${name}`)
  const [nearest = ''] = names.toSorted((a, b) => leven(word, a) - leven(word, b))
  const near =
    word.length > 2 && word.length <= MOST && leven(word, nearest) <= Math.max(1, Math.floor(nearest.length / 4))
  return `${word}: is not an option ${definition.name === '' ? 'before the command' : 'of this command'}; ${near ? `did you mean "${nearest}"?` : `it has ${names.join(', ')}`}`
}

function argumentProblem(argument: Argument | undefined, [first, ...others]: readonly string[]): string | undefined {
  if (!argument) return first === undefined ? undefined : `${JSON.stringify(first)}: this command takes options only`
  const { name, count, words } = argument
  if (first === undefined) return count === 'one' ? `exactly one ${name} is needed` : undefined
  if (count !== 'any' && others.length > 0)
    return count === 'one' ? `exactly one ${name} is needed` : `at most one ${name} can be given`
  return words && !words.includes(first) ? wrongWord(name, words, first) : undefined
}

function wrongWord(subject: string, words: readonly string[], found: string): string {
  const [last, ...others] = words.toReversed()
  const allowed = [...(others.length > 0 ? [others.toReversed().join(', ')] : []), last].join(' or ')
  return `${subject}: must be ${allowed}, is ${JSON.stringify(found)}`
}

function valuesOf(options: Options, given: Readonly<Record<string, string[]>>): Given['options'] {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => {
      const all = given[name] ?? []
      if (option.repeats) return [name, all]
      return [name, takesValue(option) ? (all.at(-1) ?? option.default) : all.length > 0]
    }),
  ) as Given['options']
}
