import type { Completed, CompletedOption, Offer } from './offers.ts'

/** The completion for fish. @see complete(1) of fish */
export function fishCompletion(root: Completed, commands: readonly Completed[]): string {
  const names = commands.map(({ name }) => name)
  return `# Completion of x-calico-route for fish: source it, or copy it to ~/.config/fish/completions/x-calico-route.fish.

function __x_calico_route_command_is --description 'The first of the words that is a command is this one'
    for word in (commandline -opc)[2..]
        if contains -- $word ${names.join(' ')}
            test "$word" = "$argv[1]"
            return
        end
    end
    test -z "$argv[1]"
end

complete -c x-calico-route -f
${commands.map(({ name, brief }) => line('', `-a ${quoted(name)} -d ${quoted(brief)}`)).join('')}${[root, ...commands].map(linesOf).join('')}`
}

function linesOf({ name, options, argument }: Completed): string {
  const lines = options.map((option) => line(name, optionText(option)))
  return [...lines, ...(argument ? [line(name, answer(argument))] : [])].join('')
}

const line = (command: string, what: string) =>
  `complete -c x-calico-route -n ${quoted(`__x_calico_route_command_is ${quoted(command)}`)} ${what}\n`

function optionText({ names, brief, value }: CompletedOption): string {
  const written = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
  // -x: no names of files beside what is offered.
  const taken = value ? [value.files === 'file' ? '-r' : '-x', answer(value)] : []
  return [...written, ...taken, `-d ${quoted(brief)}`].filter(Boolean).join(' ')
}

function answer({ words, files }: Offer): string {
  if (words) return `-a ${quoted(words.join(' '))}`
  return { file: '-F', directory: `-a ${quoted('(__fish_complete_directories)')}`, none: '' }[files ?? 'none']
}

/** In single quotes fish knows two escapes. */
const quoted = (text: string) => `'${text.replaceAll(/['\\]/g, '\\$&')}'`
