import leven from 'leven'
import { messageOf } from '../errors.ts'

/**
 * What node:util's parseArgs finds wrong with the words of a command, in words of ours; undefined if the error is another.
 * @param help of the command: what options it has is read there, so that nothing is suggested that it does not tell of
 */
export function wordsProblem(error: unknown, help: string): string | undefined {
  const { code = '' } = error as NodeJS.ErrnoException
  const said = messageOf(error)
  switch (code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION':
      return unknownOption(/^Unknown option '(.*?)'(?:\. To specify |$)/.exec(said)?.[1] ?? '', help)
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL': {
      const word = /^Unexpected argument '(.*)'\. This command /.exec(said)?.[1] ?? ''
      return `${JSON.stringify(word)}: this command takes options only`
    }
    case 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE': {
      const [, option = ''] = /^Option '([^\s',]+)/.exec(said) ?? []
      if (said.endsWith('does not take an argument')) return `${option}: takes no value`
      const dash = said.includes('ambiguous') ? `; one that begins with a dash is written ${option}=-…` : ''
      return `${option}: needs a value: ${withValue(option, help)}${dash}`
    }
    default:
      return code.startsWith('ERR_PARSE_ARGS') ? said : undefined
  }
}

function unknownOption(word: string, help: string): string {
  const options = [...help.matchAll(/^ {2}(?:-\w, )?(-{1,2}[\w-]+)/gm)].map(([, option = '']) => option)
  const [nearest = ''] = options.toSorted((a, b) => leven(word, a) - leven(word, b))
  const near =
    word.length > 2 && word.length <= MOST && leven(word, nearest) <= Math.max(1, Math.floor(nearest.length / 4))
  return `${word}: no option of this command; ${near ? `did you mean "${nearest}"?` : `it has ${options.join(', ')}`}`
}

/** Longer words are no misspelt option. */
const MOST = 40

/** `--netns PATH`, as the help has it. */
function withValue(option: string, help: string): string {
  const lines = [...help.matchAll(/^ {2}(?:-\w, )?(-{1,2}[\w-]+) (\S+)/gm)]
  const [, , value = 'VALUE'] = lines.find(([, name]) => name === option) ?? []
  return `${option} ${value}`
}
