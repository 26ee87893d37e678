/**
 * What a command takes and does, as data: parsing, help, the manual page, completions and docs/cli.md all come from here, so that
 * they cannot differ. In texts, `code` is as in Markdown.
 */
export interface Definition {
  /** Empty: the executable itself, before the name of a command. */
  readonly name: string
  /** For lists of commands: imperative, no full stop. */
  readonly summary: string
  /** What follows the name, a line for each way to call it. */
  readonly usage: readonly string[]
  readonly about: readonly Paragraph[]
  readonly argument?: Argument
  readonly options: Options
  readonly environment?: Terms
  readonly exit: Terms
  readonly examples: readonly string[]
}

/** Words, and what each of them means. */
export type Terms = readonly (readonly [term: string, meaning: string])[]
export type Paragraph = string | Terms

/** Where a shell can help with a value: these words, or names of files. */
interface Completed {
  /** The only ones that are taken. */
  readonly words?: readonly string[]
  readonly completes?: 'file' | 'directory'
}

/** The words of a command that are not options. */
export interface Argument extends Completed {
  readonly name: string
  readonly count: 'one' | 'at most one' | 'any'
}

/** By its long name. One that has neither `value` nor `words` is a flag. */
export interface Option extends Completed {
  readonly short?: string
  /** What its value is called. */
  readonly value?: string
  readonly default?: string
  /** The value if the option is given without one. Then a value is written with `=` only. */
  readonly without?: string
  /** May be given several times, and each counts. Of another one the last does. */
  readonly repeats?: true
  readonly about: string
}

export type Options = Readonly<Record<string, Option>>

/** What somebody gave to a command. */
export interface Given<O extends Options = Options> {
  readonly options: { readonly [K in keyof O]: Value<O[K]> }
  readonly words: readonly string[]
}

type Value<O extends Option> = O extends { readonly repeats: true }
  ? readonly Text<O>[]
  : O extends { readonly value: string } | { readonly words: readonly string[] }
    ? Text<O> | (O extends { readonly default: string } ? never : undefined)
    : boolean

type Text<O extends Option> = O extends { readonly words: readonly (infer W)[] } ? W : string

export const takesValue = ({ value, words }: Option) => value !== undefined || words !== undefined

/** `-o, --output text|json`, and what it does, for who reads about them. */
export function termsOf(options: Options): Terms {
  return Object.entries(options).map(([name, { short, value, words, default: byDefault, without, about }]) => {
    const shape = value ?? words?.join('|') ?? ''
    const written = `${short ? `-${short}, ` : ''}--${name}${without === undefined ? ` ${shape}` : `[=${shape}]`}`
    return [written.trimEnd(), byDefault === undefined ? about : `${about} (default: ${byDefault})`]
  })
}

/** What every command takes. */
export const COMMON = {
  color: {
    value: 'WHEN',
    words: ['auto', 'always', 'never'],
    default: 'auto',
    about: 'Print colours: auto, always or never. auto means on a terminal, unless the environment says otherwise.',
  },
  help: { short: 'h', about: 'Show this help.' },
} as const satisfies Options

/** All that a command takes. */
export const optionsOf = ({ options }: Definition): Options => ({ ...options, ...COMMON })

/** `x-calico-route plan` */
export const calledAs = ({ name }: Definition) => (name === '' ? 'x-calico-route' : `x-calico-route ${name}`)
