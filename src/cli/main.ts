import { isatty } from 'node:tty'
import leven from 'leven'
import { readStdin, writeAll } from '../call/stdio.ts'
import { CniError, messageOf } from '../errors.ts'
import { type Command, Exit, type Terminal, Trouble } from './command.ts'
import { help, version } from './help.ts'
import { install } from './install.ts'
import { answerQuestions, LOOKER } from './looker.ts'
import { obeyingNobody } from './paint.ts'
import { plan } from './plan.ts'
import { schema } from './schema.ts'
import { uninstall } from './uninstall.ts'
import { validate } from './validate.ts'
import { verify } from './verify.ts'
import { wordsProblem } from './words.ts'

export const COMMANDS: Readonly<Record<string, Command>> = { validate, plan, verify, schema, install, uninstall }

/**
 * The tool for people, from its words to its exit status. An entry of its own, bundled apart from the plugin: no call
 * of a runtime reads any of it.
 */
export async function run(words: readonly string[], terminal: Terminal = ownTerminal()): Promise<number> {
  const [name = '', ...rest] = words
  const safe = obeyingNobody(terminal)
  try {
    return await answer(name, rest, safe)
  } catch (error) {
    // Nobody reads on, as in `x-calico-route schema | head`: what is left is not wanted.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return Exit.trouble
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    const called = command ? `x-calico-route ${name}` : 'x-calico-route'
    safe.err(`${called}: ${complaint(error, called, command?.help ?? '')}\n`)
    return Exit.trouble
  }
}

function answer(name: string, rest: readonly string[], terminal: Terminal): Promise<number> | number {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command) {
    // "" would be the working directory to some options, and nothing that could be shown in a message to others.
    const empty = rest.find((word) => /^(--[\w-]+=)?$/.test(word))
    if (empty !== undefined)
      throw new Trouble(
        `an empty word is among the arguments${empty && `, ${empty}`}; is a variable of the shell not set?`,
      )
    if (!rest.includes('--help') && !rest.includes('-h')) return command.run(rest, terminal)
    terminal.out(command.help)
    return Exit.ok
  }
  if (name === LOOKER) return answerQuestions(terminal)
  if (['--help', '-h', 'help'].includes(name)) {
    const [topic] = rest
    terminal.out(topic !== undefined && Object.hasOwn(COMMANDS, topic) ? (COMMANDS[topic]?.help ?? '') : help(COMMANDS))
    return Exit.ok
  }
  if (name === '--version') {
    terminal.out(version())
    return Exit.ok
  }
  const [nearest] = Object.keys(COMMANDS).sort((a, b) => leven(name, a) - leven(name, b))
  const hint = nearest !== undefined && leven(name, nearest) <= 2 ? `; did you mean "${nearest}"?` : ''
  throw new Trouble(`unknown command ${JSON.stringify(name)}${hint}\nSee x-calico-route --help.`)
}

function complaint(error: unknown, called: string, help: string): string {
  if (error instanceof CniError) return error.details ? `${error.message}; ${error.details}` : error.message
  if (error instanceof Trouble) return error.message
  const words = wordsProblem(error, help)
  if (words !== undefined) return `${words}\nSee ${called} --help.`
  return `internal error, please report it: ${messageOf(error)}`
}

function out(text: string): void {
  try {
    writeAll(1, text)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw error
    throw new Trouble(`stdout: cannot be written; ${messageOf(error)}`, { cause: error })
  }
}

function ownTerminal(): Terminal {
  const { NO_COLOR, TERM } = process.env
  return {
    out,
    err: (text) => writeAll(2, text),
    input: () => Buffer.from(readStdin()).toString(),
    colors: isatty(1) && !NO_COLOR && TERM !== 'dumb',
    progress: isatty(2) && TERM !== 'dumb',
  }
}
