import { version } from '../version.ts'
import { COMMON, calledAs, type Definition, type Terms, termsOf } from './definition.ts'

/** The manual page, x-calico-route(8), for man(1). @see man(7) */
export function manPage(root: Definition, commands: readonly Definition[]): string {
  const [name = '', number = ''] = version().trim().split(' ')
  return [
    `.TH ${name.toUpperCase()} 8 "" "${name} ${number.replace(/\+.*/, '')}" "System Administration"`,
    `.SH NAME\n${roff(name)} \\- ${roff(root.summary)}`,
    `.SH SYNOPSIS\n${[root, ...commands].map(synopsis).join('\n.br\n')}`,
    `.SH DESCRIPTION\n${paragraphs(root).replace(/^\.PP\n/, '')}`,
    `.SH OPTIONS\n${terms(termsOf(root.options))}`,
    `.PP\nEvery command takes:\n${terms(termsOf(COMMON))}`,
    `.SH COMMANDS\n${commands.map(command).join('\n')}`,
    `.SH ENVIRONMENT\n${terms(root.environment ?? [])}`,
    `.SH EXIT STATUS\n${terms(root.exit)}`,
    `.SH EXAMPLES\n${root.examples.map(example).join('\n.PP\n')}`,
    '',
  ].join('\n')
}

function command(definition: Definition): string {
  const { name, options, exit, examples } = definition
  return [
    `.SS ${name}`,
    synopsis(definition),
    paragraphs(definition),
    ...(Object.keys(options).length > 0 ? [terms(termsOf(options))] : []),
    `.PP\nExit status:\n${terms(exit)}`,
    '.PP\nFor example:',
    ...examples.map((text) => `.PP\n${example(text)}`),
  ].join('\n')
}

function synopsis(definition: Definition): string {
  const lines = definition.usage.map((words) => `\\fB${roff(calledAs(definition))}\\fR ${marked(words)}`.trimEnd())
  return lines.join('\n.br\n')
}

function paragraphs({ about }: Definition): string {
  return about.map((one) => (typeof one === 'string' ? `.PP\n${marked(one)}` : terms(one))).join('\n')
}

function terms(all: Terms): string {
  return all.map(([term, meaning]) => `.TP\n${marked(term)}\n${marked(meaning)}`).join('\n')
}

function example(text: string): string {
  return `.EX\n${text.split('\n').map(roff).join('\n')}\n.EE`
}

/** Options and `code` in bold. */
function marked(text: string): string {
  return text
    .split(/(`[^`]*`|(?<![\w-])--?[a-zA-Z][\w-]*)/)
    .map((part, i) => (i % 2 === 1 ? `\\fB${roff(part.replaceAll('`', ''))}\\fR` : roff(part)))
    .join('')
}

/** Text that roff(7) takes as it is: no escapes, no requests, and hyphens that can be copied. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...').replace(/^[.']/, '\\&$&')
}
