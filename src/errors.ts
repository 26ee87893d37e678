/**
 * Error codes. 1 to 50 are the specification's, from 100 on they are ours. Code 3 is never used: it tells a runtime
 * that no DEL is needed, and the plugins before us would keep their interface.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#error
 */
export const Code = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  ownNetns: 8,
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
 * A failure that a runtime is told of. `message` is one line: the subject first (key path, variable or command), then
 * what is wrong with it and what to do. `details` holds what else is known: further problems, a command's stderr,
 * what was restored.
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

/** A pod holds more than can be read, or something that cannot: what is ours in it must be told from the rest otherwise. */
export class TooMuch extends CniError {
  constructor(message: string, details?: string) {
    super(Code.commandFailed, message, details)
  }
}

/** Nobody reads more of them: a configuration with a thousand mistakes is known by its first. */
const MOST_PROBLEMS = 20

/** The error for what is wrong with one subject: the first problem is the message, further ones are the details. */
export function refusal(code: Code, problems: readonly string[]): CniError {
  const [first = '', ...others] = listed(problems, MOST_PROBLEMS)
  return new CniError(code, first, others.join('; '))
}

/** A message or a record is read by people: of a thousand routes they see the first hundred. */
const MOST_LISTED = 100

/** `items` as far as anybody reads them, and how many more there are. */
export function listed(items: readonly string[], most = MOST_LISTED): readonly string[] {
  const left = items.length - most
  return left > 0 ? [...items.slice(0, most), `and ${left} more`] : items
}

/** `text` without what a terminal or a reader of lines would obey: the name of a file or an interface may hold it. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these it is about
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, '?')
}

/** The one-line text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error))
}

/** `text` with every run of white space, line ends included, made one space. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ')
}

/** A value as it was written, in JSON, on one line, and cut to a length that leaves a message readable. */
export function quote(value: unknown): string {
  let json: string
  try {
    json = (JSON.stringify(value) ?? String(value)).replace(/[\u2028\u2029\u0085]/g, ' ')
  } catch {
    json = `an ${typeof value} nested too deeply`
  }
  return json.length > 80 ? `${json.slice(0, 77)}...` : json
}
