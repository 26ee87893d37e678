import leven from 'leven'
import type * as z from 'zod/mini'
import { quote } from '../errors.ts'

// What people coming from other tools write. Spelling distance does not help here.
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
  ttl: 'hoplimit',
}

/**
 * A zod issue as lines `key path: what is wrong; what to do`. All that zod/mini says by itself is "Invalid input".
 * @param keysAt the keys that the object at a path can have
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
        .slice(0, MAX_KEYS)
        .map((key) => `${at}.${keyText(key)}: unknown key; ${hint(key, keysAt(path))}`)
    }
    case 'invalid_value':
      return [`${at}: must be ${list(issue.values.map(String))}, is ${quote(issue.input)}`]
    case 'invalid_type':
      return [
        `${at}: ${issue.input === undefined ? 'missing' : `must be ${article(issue.expected)}, is ${quote(issue.input)}`}`,
      ]
    case 'invalid_union': {
      // The branch that got furthest knows best: first one that looked inside, then one that does not know the word,
      // then one that expects another type.
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

/** Nobody reads further. */
const MAX_KEYS = 20
export const MAX_KEY_LENGTH = 40

/** A key as written, if it reads well in a path; else quoted, since it may hold line ends, escapes, or megabytes. */
export function keyText(key: string): string {
  return /^[\w./-]+$/.test(key) && key.length <= MAX_KEY_LENGTH ? key : quote(key)
}

function hint(key: string, known: readonly string[]): string {
  const all = `write one of ${known.join(', ')}`
  if (key.length > MAX_KEY_LENGTH) return all
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
