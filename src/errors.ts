/**
 * Error codes: 1 to 99 belong to the specification, 100 and up are ours. Code 3 is never used: it tells a runtime that
 * no DEL is needed, and the previous plugins would keep their interface.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#error
 */
export const Code = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  ownNetns: 8,
  tryAgainLater: 11,
  notAvailable: 50,
  commandFailed: 100,
  notApplied: 101,
  rollbackFailed: 102,
  toolMissing: 103,
  timeout: 104,
  checkFailed: 110,
  overrideNotAllowed: 120,
  internal: 999,
} as const

export type Code = (typeof Code)[keyof typeof Code]

/**
 * A failure that is reported to the runtime. `message` is one line: the subject (key path, variable or command), what
 * is wrong with it, what to do. `details` holds everything else: further problems, a command's stderr, what was
 * restored.
 */
export class CniError extends Error {
  readonly code: Code
  readonly details: string | undefined

  constructor(code: Code, message: string, details?: string, cause?: unknown) {
    super(printable(message), cause === undefined ? undefined : { cause })
    this.name = 'CniError'
    this.code = code
    this.details = details ? printable(details) : undefined
  }
}

/**
 * The pod holds more than can be read, or something that cannot be read at all. DEL then has to find our routes without
 * looking at the pod.
 */
export class TooMuch extends CniError {
  constructor(message: string, details?: string) {
    super(Code.commandFailed, message, details)
  }
}

/** How many problems an error lists: the first few show what is wrong with a configuration of a thousand mistakes. */
const MAX_PROBLEMS = 20

/** The error for a list of problems: the first one is the message, the others are the details. */
export function refusal(code: Code, problems: readonly string[]): CniError {
  const [first = '', ...others] = listed(problems, MAX_PROBLEMS)
  return new CniError(code, first, others.join('; '))
}

/** How many routes and the like a message or record lists, for people to read. */
const MAX_LISTED = 100

/** The first `max` of `items`, and how many were left out. */
export function listed(items: readonly string[], max = MAX_LISTED): readonly string[] {
  const left = items.length - max
  return left > 0 ? [...items.slice(0, max), `and ${left} more`] : items
}

/** `text` without control characters, which the name of a file or an interface may hold: a terminal would obey them. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, '?')
}

/** What anything that was thrown says, on one line. */
export function messageOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error))
}

/** `text` with every run of white space, line ends included, turned into one space. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ')
}

/** A value as JSON on one line, cut to a length that keeps a message readable. */
export function quote(value: unknown): string {
  let json: string
  try {
    json = (JSON.stringify(value) ?? String(value)).replace(/[\u2028\u2029\u0085]/g, ' ')
  } catch {
    json = `an ${typeof value} nested too deeply`
  }
  return json.length > 80 ? `${json.slice(0, 77)}...` : json
}
