import { isatty } from 'node:tty'
import leven from 'leven'
import { readStdin, writeAll } from '../call/stdio.ts'
import { CniError, messageOf } from '../errors.ts'
import { useToolsBeside } from '../kernel/tools.ts'
import { LISTENER } from './agent/listener.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { COMMANDS, TOOL } from './commands.ts'
import { answerQuestions, LOOKER } from './looker.ts'
import { obeyingNobody } from './paint.ts'
import { colorsIn, columnsIn } from './terminal.ts'
import { type Command, showHelp } from './usage/define.ts'
import { calledAs } from './usage/definition.ts'
import { asksForHelp, parse, splitAtCommand } from './usage/parse.ts'
import { version } from './version.ts'

/**
 * The tool for people, from its arguments to its exit status. It has its own bundle, so that no call of a runtime reads
 * any of it.
 */
export async function run(words: readonly string[], terminal: Terminal = ownTerminal()): Promise<number> {
  useToolsBeside(process.execPath)
  if (words[0] === LOOKER) return answerQuestions(obeyingNobody(terminal))
  if (words[0] === LISTENER) {
    // Nobody else needs HTTP and the metrics.
    const { serve } = await import('./agent/serve.ts')
    return serve(words.slice(1), obeyingNobody(terminal))
  }
  const { before, name, rest } = splitAtCommand(TOOL.root, words)
  const command = COMMANDS.find(({ definition }) => definition.name === name)
  let definition = TOOL.root
  try {
    const asked = aboutTheTool(before, command, terminal)
    if (asked !== undefined) return asked
    if (command) definition = command.definition
    return await (command ?? noCommand(name)).run([...before, ...rest], terminal)
  } catch (error) {
    // The reader has left, as in `x-calico-route schema | head`.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return Exit.trouble
    obeyingNobody(terminal).err(`${calledAs(definition)}: ${complaint(error)}\n`)
    return Exit.trouble
  }
}

/** Does what the options before the command ask for; undefined if the command is to run. */
function aboutTheTool(before: readonly string[], command: Command | undefined, terminal: Terminal): number | undefined {
  if (asksForHelp(before)) {
    showHelp(command?.definition ?? TOOL.root, command ? [] : TOOL.commands, before, terminal)
    return Exit.ok
  }
  const { options } = parse(TOOL.root, before)
  if (!options.version) return undefined
  obeyingNobody(terminal).out(version())
  return Exit.ok
}

/** @throws Trouble */
function noCommand(name: string | undefined): never {
  if (name === undefined) throw new Trouble('COMMAND is missing\nSee x-calico-route --help.')
  const [nearest] = TOOL.commands.map((one) => one.name).sort((a, b) => leven(name, a) - leven(name, b))
  const hint = nearest !== undefined && leven(name, nearest) <= 2 ? `; did you mean "${nearest}"?` : ''
  throw new Trouble(`unknown command ${JSON.stringify(name)}${hint}\nSee x-calico-route --help.`)
}

function complaint(error: unknown): string {
  if (error instanceof CniError) return error.details ? `${error.message}; ${error.details}` : error.message
  if (error instanceof Trouble) return error.message
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
  return {
    out,
    err: (text) => writeAll(2, text),
    input: () => Buffer.from(readStdin()).toString(),
    colors: colorsIn(process.env, isatty(1)),
    columns: () => (isatty(1) ? columnsIn(process.env, process.stdout.columns) : undefined),
    progress: isatty(2) && process.env.TERM !== 'dumb',
  }
}
