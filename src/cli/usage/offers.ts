import { type Argument, type Definition, type Option, optionsOf, takesValue } from './definition.ts'

/** What a shell offers in one place. */
export interface Offer {
  readonly words?: readonly string[]
  readonly files?: 'file' | 'directory'
}

/** A command, and what may follow it. The name of that before any command is empty. */
export interface Completed {
  readonly name: string
  readonly brief: string
  readonly options: readonly CompletedOption[]
  readonly argument: Offer | undefined
}

export interface CompletedOption {
  /** `--output`, `-o` */
  readonly names: readonly string[]
  readonly brief: string
  /** Undefined: it takes no value. */
  readonly value: Offer | undefined
  readonly repeats: boolean
}

/** What the scripts for shells are made of. */
export function completedOf(definition: Definition): Completed {
  return {
    name: definition.name,
    brief: definition.summary,
    options: Object.entries(optionsOf(definition)).map(([name, option]) => ({
      names: [`--${name}`, ...(option.short ? [`-${option.short}`] : [])],
      brief: briefOf(option.about),
      value: takesValue(option) && option.without === undefined ? offerOf(option) : undefined,
      repeats: option.repeats ?? false,
    })),
    argument: definition.argument && offerOf(definition.argument),
  }
}

function offerOf({ words, completes }: Argument | Option): Offer {
  return { ...(words ? { words } : {}), ...(completes ? { files: completes } : {}) }
}

/** The first sentence of a text, without what is in brackets and without the full stop. */
function briefOf(about: string): string {
  const [sentence = ''] = about.replaceAll('`', '').split(/\.(?= |$)/)
  return sentence
}

/** A word of a POSIX shell, whatever is in it. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
