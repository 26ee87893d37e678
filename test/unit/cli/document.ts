/** docs/cli.md, of the same definitions as everything else that says what a command takes. */
import { TOOL } from '../../../src/cli/commands.ts'
import {
  COMMON,
  calledAs,
  type Definition,
  type Options,
  type Terms,
  termsOf,
} from '../../../src/cli/usage/definition.ts'

const PREFACE = `# The command line

<!-- Made from the definitions in src/cli by test/unit/cli/document.test.ts: change those, then run it with UPDATE_DOCS=1. -->

What a person calls. \`x-calico-route COMMAND --help\` shows the same, \`x-calico-route man\` prints it as a manual page, and
\`x-calico-route completion\` has a shell complete it. The archive of a release holds both: \`x-calico-route.8\` and \`completions/\`.
`

export function document(): string {
  const { root, commands } = TOOL
  return `${[
    PREFACE.trimEnd(),
    table(
      'command',
      commands.map(({ name, summary }) => [`[${name}](#${name})`, summary]),
    ),
    'Every command takes:',
    optionTable(COMMON),
    '## x-calico-route',
    ...body(root),
    ...commands.flatMap((one) => [`## ${one.name}`, ...body(one)]),
  ].join('\n\n')}\n`
}

function body(definition: Definition): string[] {
  const { usage, about, options, environment = [], exit, examples } = definition
  return [
    code('text', usage.map((words) => `${calledAs(definition)} ${words}`.trimEnd()).join('\n')),
    ...about.map((one) => (typeof one === 'string' ? marked(one) : list(one))),
    ...(Object.keys(options).length > 0 ? [optionTable(options)] : []),
    ...(environment.length > 0 ? [table('variable', environment)] : []),
    table('exit status', exit),
    code('sh', examples.join('\n')),
  ]
}

const code = (language: string, text: string) => `\`\`\`${language}\n${text}\n\`\`\``

const list = (terms: Terms) => terms.map(([term, meaning]) => `- **${term}**: ${marked(meaning)}`).join('\n')

const optionTable = (options: Options) =>
  table(
    'option',
    termsOf(options).map(([term, meaning]) => [`\`${term}\``, meaning]),
  )

function table(head: string, rows: Terms): string {
  const cells = rows.map(([term, meaning]) => `| ${term.replaceAll('|', '\\|')} | ${marked(meaning)} |`)
  return [`| ${head} | |`, '|---|---|', ...cells].join('\n')
}

/** Options are code, too. */
function marked(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part, i) => (i % 2 === 1 ? part : part.replaceAll(/(?<![\w-])--?[a-zA-Z][\w-]*/g, '`$&`')))
    .join('')
}
