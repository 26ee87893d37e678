import { Exit } from './command.ts'
import { bashCompletion } from './usage/bash.ts'
import { type Command, define, showHelp } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'
import { fishCompletion } from './usage/fish.ts'
import { manPage } from './usage/man.ts'
import { completedOf } from './usage/offers.ts'
import { zshCompletion } from './usage/zsh.ts'
import { version } from './version.ts'

/** The executable itself, and its commands. */
export interface Tool {
  readonly root: Definition
  readonly commands: readonly Definition[]
}

const ALWAYS = [['0', 'Always.']] as const
const COMPLETIONS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

/** The commands that are about the tool itself. @param tool the tool, which has these commands too */
export function aboutItself(tool: () => Tool): readonly Command[] {
  return [completion(tool), man(tool), ownVersion, help(tool)]
}

function completion(tool: () => Tool): Command {
  const shells = ['bash', 'zsh', 'fish'] as const
  return define(
    {
      name: 'completion',
      summary: 'print the completion script of a shell',
      usage: ['bash|zsh|fish'],
      about: [
        'Print a script that has the shell complete commands, options and their values. Source it, or copy it to where the shell looks:',
        [
          ['bash', '`/usr/share/bash-completion/completions/x-calico-route`'],
          ['zsh', '`_x-calico-route` in a directory of `$fpath`'],
          ['fish', '`~/.config/fish/completions/x-calico-route.fish`'],
        ],
      ],
      argument: { name: 'SHELL', count: 'one', words: shells },
      options: {},
      exit: ALWAYS,
      examples: ['source <(x-calico-route completion bash)'],
    },
    ({ words: [shell] }, terminal) => {
      const { root, commands } = tool()
      const script = COMPLETIONS[shell as (typeof shells)[number]]
      terminal.out(script(completedOf(root), commands.map(completedOf)))
      return Exit.ok
    },
  )
}

function man(tool: () => Tool): Command {
  return define(
    {
      name: 'man',
      summary: 'print the manual page, for man(1)',
      usage: [''],
      about: ['Print `x-calico-route.8`. Copy it to `/usr/local/share/man/man8` to have man(1) find it.'],
      options: {},
      exit: ALWAYS,
      examples: ['x-calico-route man | man -l -'],
    },
    (_, terminal) => {
      const { root, commands } = tool()
      terminal.out(manPage(root, commands))
      return Exit.ok
    },
  )
}

const ownVersion = define(
  {
    name: 'version',
    summary: 'print the version of the executable',
    usage: [''],
    about: ['Print the version and, after "+", the build. --version and -V without a command do the same.'],
    options: {},
    exit: ALWAYS,
    examples: ['x-calico-route version'],
  },
  (_, terminal) => {
    terminal.out(version())
    return Exit.ok
  },
)

function help(tool: () => Tool): Command {
  const names = () => tool().commands.map(({ name }) => name)
  return define(
    {
      name: 'help',
      summary: 'show how to use a command',
      usage: ['[COMMAND]'],
      about: ['Show the same as `COMMAND --help`; without COMMAND, the same as --help.'],
      argument: {
        name: 'COMMAND',
        count: 'at most one',
        get words() {
          return names()
        },
      },
      options: {},
      exit: ALWAYS,
      examples: ['x-calico-route help plan'],
    },
    ({ words: [name], options: { color } }, terminal) => {
      const { root, commands } = tool()
      const topic = commands.find((one) => one.name === name)
      showHelp(topic ?? root, topic ? [] : commands, [`--color=${color}`], terminal)
      return Exit.ok
    },
  )
}
