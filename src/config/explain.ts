import leven from 'leven'
import type * as z from 'zod/mini'
import { quote } from '../errors.ts'

// What people write who come from other tools, where no spelling distance helps.
const ALIASES: Readonly<Record<string, string>> = {
  gateway: 'gw',
  via: 'gw',
  nexthop: 'gw',
  metric: 'priority',
  destination: 'dst',
  to: 'dst',
  cidr: 'dst',
  device: 'dev',
  interface: 'dev',
  source: 'src',
  prefsrc: 'src',
}

/**
 * One zod issue as lines `key path: what is wrong, what to do`. zod/mini says no more than "Invalid input" by itself.
 * @param keysAt the keys there are in the object at a path
 */
export function explain(
  issue: z.core.$ZodIssue,
  base: readonly PropertyKey[],
  keysAt: (path: readonly PropertyKey[]) => readonly string[],
): string[] {
  const path = [...base, ...issue.path]
  const at = pathText(path)
  switch (issue.code) {
    case 'unrecognized_keys': {
      return issue.keys
        .slice(0, MOST_KEYS)
        .map((key) => `${at}.${keyText(key)}: unknown key; ${hint(key, keysAt(path))}`)
    }
    case 'invalid_value':
      return [`${at}: must be ${list(issue.values.map(String))}, is ${quote(issue.input)}`]
    case 'invalid_type':
      return [
        `${at}: ${issue.input === undefined ? 'missing' : `must be ${article(issue.expected)}, is ${quote(issue.input)}`}`,
      ]
    case 'invalid_union': {
      // The branch that got furthest knows best: one that looked inside before one that did not know the word before
      // one of another type.
      const rank = (errors: readonly z.core.$ZodIssue[]) =>
        errors.some((e) => e.path.length === 0 && e.code === 'invalid_type')
          ? 2
          : errors.some((e) => e.path.length === 0 && e.code === 'invalid_value')
            ? 1
            : 0
      const chosen = issue.errors.filter((errors) => rank(errors) < 2).sort((a, b) => rank(a) - rank(b))[0]
      if (chosen) return chosen.flatMap((inner) => explain(inner, path, keysAt))
      const types = issue.errors.flatMap((errors) =>
        errors[0]?.code === 'invalid_type' ? errors[0].expected : 'string',
      )
      return [`${at}: must be ${types.map(article).join(' or ')}, is ${quote(issue.input)}`]
    }
    default:
      return [`${at}: ${issue.message}`]
  }
}

/** A configuration is not a place for any number of mistakes, nor of any length. */
const MOST_KEYS = 20
export const LONGEST_KEY = 40

/** A key as it was written, where that reads well in a path; it may hold line ends and terminal escapes, or megabytes. */
export function keyText(key: string): string {
  return /^[\w./-]+$/.test(key) && key.length <= LONGEST_KEY ? key : quote(key)
}

function hint(key: string, known: readonly string[]): string {
  const all = `known here: ${known.join(', ')}`
  if (key.length > LONGEST_KEY) return all
  const spellings = [
    ...Object.entries(ALIASES).filter(([, meant]) => known.includes(meant)),
    ...known.map((one): [string, string] => [one, one]),
  ].map(([spelling, meant]) => ({ meant, distance: leven(key.toLowerCase(), spelling) }))
  const [nearest] = spellings.sort((a, b) => a.distance - b.distance)
  return nearest && nearest.distance <= Math.max(2, key.length / 2) ? `did you mean "${nearest.meant}"?` : all
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`)).join('')
}

export function list(words: readonly string[]): string {
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${words.at(-1)}` : words.join('')
}

function article(type: string): string {
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`
}
