/** How the demonstration looks: sections, a coloured diff, and proofs that are counted. */
import { styleText } from 'node:util'

// styleText leaves the colours out where they are not wanted: NO_COLOR, or a pipe instead of a terminal.
const green = (text: string) => styleText('green', text)
const red = (text: string) => styleText('red', text)
const dim = (text: string) => styleText('dim', text)

let failed = 0

/** True as long as no proof has failed. */
export const proven = (): boolean => failed === 0

export function section(title: string): void {
  console.log(`\n${styleText('bold', title)}`)
}

export function say(text: string): void {
  console.log(dim(`  ${text}`))
}

/** One line of evidence, and whether it is what was promised. */
export function prove(claim: string, seen: string, holds: boolean): void {
  if (!holds) failed += 1
  console.log(`  ${holds ? green('✓') : red('✗')} ${claim.padEnd(18)} ${holds ? seen : red(seen)}`)
}

/** Two routing tables as one: what went, what came, what stayed. */
export function diff(before: readonly string[], after: readonly string[]): void {
  for (const route of [...new Set([...before, ...after])].sort(byPlace)) {
    if (!after.includes(route)) console.log(red(`  - ${route}`))
    else if (!before.includes(route)) console.log(green(`  + ${route}`))
    else console.log(dim(`    ${route}`))
  }
}

/** An object with one line for each field, and for each entry of a list. */
export function fields(object: object): void {
  for (const [key, value] of Object.entries(object)) {
    const entries = Array.isArray(value) ? value : [value]
    for (const [i, entry] of entries.entries()) {
      console.log(`  ${dim((i === 0 ? key : '').padEnd(11))} ${JSON.stringify(entry)}`)
    }
  }
}

/** IPv4 before IPv6, and of each the default route first. */
function byPlace(a: string, b: string): number {
  const rank = (route: string) => (route.includes(':') ? 2 : 0) + (route.startsWith('default') ? 0 : 1)
  return rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true })
}
