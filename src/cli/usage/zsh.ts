import { type Completed, type CompletedOption, type Offer, quoted } from './offers.ts'

/** The completion for zsh. @see zshcompsys(1) */
export function zshCompletion(root: Completed, commands: readonly Completed[]): string {
  return `#compdef x-calico-route
# Completion of x-calico-route for zsh: source it, or copy it as _x-calico-route to a directory of $fpath.

_x-calico-route() {
  local context state state_descr line
  local -a commands
  typeset -A opt_args
  _arguments -S -C \\
${root.options.map(spec).map(continued).join('')}    '1: :->command' \\
    '*:: :->words' && return
  case $state in
    command)
      commands=(
${commands.map(({ name, brief }) => `        ${quoted(`${name}:${brief.replaceAll(':', '\\:')}`)}\n`).join('')}      )
      _describe -t commands command commands
      ;;
    words)
      case $words[1] in
${commands.map(branch).join('\n')}
      esac
      ;;
  esac
}

if [[ $funcstack[1] == _x-calico-route ]]; then
  _x-calico-route "$@"
else
  compdef _x-calico-route x-calico-route
fi
`
}

const continued = (text: string) => `    ${text} \\\n`

function branch({ name, options, argument }: Completed): string {
  const specs = [...options.map(spec), ...(argument ? [quoted(`*: :${action(argument)}`)] : [])]
  return `        ${name})
          _arguments -s -S \\
            ${specs.join(' \\\n            ')}
          ;;`
}

/** `'(-o --output)'{-o+,--output=}'[what it does]:value:(text json)'` */
function spec({ names, brief, value, repeats }: CompletedOption): string {
  const about = quoted(`[${brief.replaceAll(/[[\]\\]/g, '\\$&')}]${value ? `: :${action(value)}` : ''}`)
  const written = names.map((name) => name + (value ? (name.startsWith('--') ? '=' : '+') : ''))
  const others = repeats ? quoted('*') : quoted(`(${names.join(' ')})`)
  return `${others}${written.length > 1 ? `{${written.join(',')}}` : written}${about}`
}

function action({ words, files }: Offer): string {
  if (words) return `(${words.join(' ')})`
  return { file: '_files', directory: '_files -/', none: '' }[files ?? 'none']
}
