import { type Completed, type Offer, quoted } from './offers.ts'

/** The completion for bash, which needs nothing but bash 4.4. @see bash(1), Programmable Completion */
export function bashCompletion(root: Completed, commands: readonly Completed[]): string {
  const names = commands.map(({ name }) => name)
  const all = [{ ...root, argument: { words: names } }, ...commands]
  return `# Completion of x-calico-route for bash: source it, or copy it to /usr/share/bash-completion/completions/x-calico-route.

_x_calico_route() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command='' i
  # Of --option=value bash makes three words.
  if [[ $word == = ]]; then
    word=''
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${names.join(' | ')})
        command=\${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  COMPREPLY=()
  case $command:$before in
${all.flatMap(valueCases).join('\n')}
  esac
  if [[ $word == -* ]]; then
    case $command in
${all.map(({ name, options }) => branch(quoted(name), offering(options.flatMap((one) => one.names)))).join('\n')}
    esac
    return
  fi
  case $command in
${all.flatMap(({ name, argument }) => (argument ? [branch(quoted(name), answer(argument))] : [])).join('\n')}
  esac
}

complete -F _x_calico_route x-calico-route
`
}

function valueCases({ name, options }: Completed): string[] {
  return options.flatMap(({ names, value }) =>
    value ? [branch(names.map((one) => `${name}:${one}`).join(' | '), `${answer(value)}\n      return`)] : [],
  )
}

const branch = (pattern: string, body: string) => `    ${pattern})\n      ${body}\n      ;;`

function answer({ words, files }: Offer): string {
  if (words) return offering(words)
  // readline's own, which knows of ~ and of what must be quoted.
  return { file: 'compopt -o default', directory: 'compopt -o dirnames', none: ':' }[files ?? 'none']
}

const offering = (words: readonly string[]) =>
  `mapfile -t COMPREPLY < <(compgen -W ${quoted(words.join(' '))} -- "$word")`
