import type { Paint } from '../paint.ts'
import { version } from '../version.ts'
import { calledAs, type Definition, optionsOf, type Terms, termsOf } from './definition.ts'
import { linesOf, usageLines } from './lines.ts'

const PIPE = 80
const WIDEST = 100
const NARROWEST = 40

/** @param columns of the terminal; undefined: it is none */
export function widthOf(columns: number | undefined): number {
  return columns === undefined ? PIPE : Math.min(Math.max(columns, NARROWEST), WIDEST)
}

/** What `--help` shows. @param commands those of the executable itself */
export function helpText(definition: Definition, commands: readonly Definition[], width: number, paint: Paint): string {
  const { name, summary, usage, about, environment = [], exit, examples } = definition
  const title = (text: string) => paint('bold', text)
  const paragraph = (text: string) => `${linesOf(plain(text), width).join('\n')}\n`
  const section = (heading: string, terms: Terms) =>
    terms.length > 0 ? [`${title(heading)}\n${termLines(terms, width)}`] : []
  return [
    ...(name === '' ? [paragraph(`${version().trim()}: ${summary}`)] : []),
    usageText(calledAs(definition), usage, width, title('Usage:')),
    ...section(
      'Commands:',
      commands.map((one) => [one.name, one.summary]),
    ),
    ...about.map((one) => (typeof one === 'string' ? paragraph(one) : termLines(one, width))),
    ...section('Options:', optionTerms(definition)),
    ...section('Environment:', environment),
    ...section('Exit status:', exit),
    `${title(examples.length > 1 ? 'Examples:' : 'Example:')}\n${examples.map((one) => `${one.replaceAll(/^/gm, '  ')}\n`).join('')}`,
  ].join('\n')
}

function usageText(called: string, usage: readonly string[], width: number, title: string): string {
  const lines = usage.map((words) => {
    const indent = ' '.repeat('Usage: '.length + called.length + 1)
    return `${called} ${usageLines(words, width - indent.length).join(`\n${indent}`)}`.trimEnd()
  })
  return `${title} ${lines.join(`\n${' '.repeat('Usage: '.length)}`)}\n`
}

/** Long names below each other: --help has a short one, at least. */
function optionTerms(definition: Definition): Terms {
  return termsOf(optionsOf(definition)).map(([term, meaning]) => [term.replace(/^--/, '    --'), meaning])
}

/** A longer term has a line of its own, above its meaning. */
const LONGEST_TERM = 24

function termLines(terms: Terms, width: number): string {
  const short = terms.map(([term]) => plain(term).length).filter((length) => length <= LONGEST_TERM)
  const indent = Math.max(0, ...short) + 4
  const lines = terms.flatMap(([marked, meaning]) => {
    const term = plain(marked)
    const indented = linesOf(plain(meaning), width - indent).map((line) => ' '.repeat(indent) + line)
    if (term.length > LONGEST_TERM) return [`  ${term}`, ...indented]
    const [first = '', ...others] = indented
    return [`  ${term}`.padEnd(indent) + first.slice(indent), ...others]
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** Without the marks of Markdown. */
const plain = (text: string) => text.replaceAll('`', '')
