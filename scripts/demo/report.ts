/** How the demonstration looks: 80 columns, one screen. */
import { styleText } from 'node:util'
import type { Family } from '../../test/support/calico.ts'

// styleText leaves the colours out where they are not wanted: NO_COLOR, or a pipe instead of a terminal.
const green = (text: string) => styleText('green', text)
const red = (text: string) => styleText('red', text)
const dim = (text: string) => styleText('dim', text)
const bold = (text: string) => styleText('bold', text)

const COLUMNS = 80
const mark = (good: boolean) => (good ? green('✓') : red('✗'))

let problems = 0

/** True if something was not as it must be. */
export const failed = (): boolean => problems > 0

export function problem(text: string): void {
  problems += 1
  console.log(red(`  FAILED: ${text}`))
}

export function header(families: readonly Family[]): void {
  const both = families.map((family) => `IPv${family}`).join(' and ')
  console.log(bold(`A pod with two NICs, on this machine’s kernel, ${both}`))
  console.log(`
  underlay ───── node ───── eth0 [ pod ] net1 ───── VPC router ───── internet
  ${dim('10.50.31.21             10.199.3.153  10.0.1.11     10.0.1.1   203.0.113.10')}`)
}

export function section(title: string): void {
  console.log(`\n${bold(title)}`)
}

export function warn(text: string): void {
  console.log(styleText('yellow', `note: ${text}`))
}

/** A claim, and whether it holds. */
export function proof(claim: string, holds: boolean): void {
  if (!holds) problems += 1
  console.log(`  ${mark(holds)} ${claim}`)
}

export function list(routes: readonly string[]): void {
  for (const route of [...routes].sort(byPlace)) console.log(dim(`    ${route}`))
}

/** Two routing tables as one: what went and what came, and in one line what stayed. */
export function diff(before: readonly string[], after: readonly string[]): void {
  const gone = before.filter((route) => !after.includes(route)).map((text) => ({ text, came: false }))
  const came = after.filter((route) => !before.includes(route)).map((text) => ({ text, came: true }))
  const rows = [...gone, ...came].sort(
    (a, b) => rank(a.text) - rank(b.text) || Number(a.came) - Number(b.came) || byPlace(a.text, b.text),
  )
  for (const { text, came } of rows) console.log(came ? green(`  + ${text}`) : red(`  - ${text}`))
  const stayed = before.filter((route) => after.includes(route)).sort(byPlace)
  console.log(dim(`    as before: ${stayed.map((route) => route.replace(/ .*/, '')).join(', ')}`))
}

/** The entries of a plugin list, each over as many lines as it needs, behind the name of the NIC. */
export function entries(name: string, plugins: readonly object[]): void {
  const indent = ' '.repeat(name.length + 4)
  const last = plugins.length - 1
  const lines = plugins.flatMap((plugin, i) => {
    const text = JSON.stringify(plugin, undefined, 1).replaceAll(/\n\s*/g, ' ')
    return wrapped(i < last ? `${text},` : text, COLUMNS - indent.length)
  })
  for (const [i, line] of lines.entries()) console.log(`${i === 0 ? `  ${name}  ` : indent}${line}`)
}

/** Broken after commas; what follows the first line is indented. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const piece of text.split(/(?<=,) /)) {
    if (line && line.length + 1 + piece.length > width) {
      lines.push(line)
      line = `  ${piece}`
    } else line = line ? `${line} ${piece}` : piece
  }
  return [...lines, line]
}

export function packetsTitle(families: readonly Family[]): void {
  const nics = families.map((family) => `IPv${family}`.padEnd(6)).join('')
  console.log(`\n${dim(`    ${'a packet to'.padEnd(27)}${nics}is answered by`)}`)
}

interface Row {
  readonly name: string
  readonly address: string
  readonly nics: readonly string[]
  readonly answer: string
  readonly wrong: boolean
}

export function packetRow({ name, address, nics, answer, wrong }: Row): void {
  const seen = `${nics.map((nic) => nic.padEnd(6)).join('')}${answer}`
  console.log(`  ${mark(!wrong)} ${name.padEnd(13)}${address.padEnd(14)}${wrong ? red(seen) : seen}`)
}

/** IPv4 before IPv6, and of each the default route first. */
const rank = (route: string): number => (route.includes(':') ? 2 : 0) + (route.startsWith('default') ? 0 : 1)

const byPlace = (a: string, b: string): number => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true })
