import { Exit, type Terminal, Trouble } from '../command.ts'
import { obeyingNobody, painter } from '../paint.ts'
import type { COMMON, Definition, Given } from './definition.ts'
import { helpText, widthOf } from './help.ts'
import { asksForHelp, type Color, colorIn, parse } from './parse.ts'

/** One command of the tool for people: `x-calico-route NAME WORDS…`. */
export interface Command {
  readonly definition: Definition
  /** @throws Trouble, CniError */
  readonly run: (words: readonly string[], terminal: Terminal) => Promise<number> | number
}

/** A command that takes what its definition says. */
export function define<const D extends Definition>(
  definition: D,
  act: (given: Given<D['options'] & typeof COMMON>, terminal: Terminal) => Promise<number> | number,
): Command {
  return {
    definition,
    run: (words, terminal) => {
      refuseEmpty(words)
      if (asksForHelp(words)) {
        showHelp(definition, [], words, terminal)
        return Exit.ok
      }
      const given = parse(definition, words) as Given<D['options'] & typeof COMMON>
      return act(given, obeyingNobody(colored(terminal, given.options.color)))
    },
  }
}

/** @param words where --color may be among other words */
export function showHelp(
  definition: Definition,
  commands: readonly Definition[],
  words: readonly string[],
  terminal: Terminal,
): void {
  const { out, colors } = obeyingNobody(colored(terminal, colorIn(words)))
  out(helpText(definition, commands, widthOf(terminal.columns?.()), painter(colors)))
}

/** "" would be the working directory to some options, and nothing that could be shown in a message to others. */
function refuseEmpty(words: readonly string[]): void {
  const empty = words.find((word) => /^(--[\w-]+=)?$/.test(word))
  if (empty === undefined) return
  throw new Trouble(`an empty word is among the arguments${empty && `, ${empty}`}; is a variable of the shell not set?`)
}

function colored(terminal: Terminal, color: Color): Terminal {
  return color === 'auto' ? terminal : { ...terminal, colors: color === 'always' }
}
