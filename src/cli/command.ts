import { printable } from './paint.ts'

/** The terminal that a command was typed in; a pipe is a terminal without colours. */
export interface Terminal {
  /** Writes to stdout. */
  readonly out: (text: string) => void
  /** Writes to stderr: progress and complaints, never a result. */
  readonly err: (text: string) => void
  /** All of stdin. */
  readonly input: () => string
  /** Whether stdout takes colours. */
  readonly colors: boolean
  /** The width of stdout; undefined if it is not a terminal. */
  readonly columns?: () => number | undefined
  /** Whether stderr is a terminal, where a line may be overwritten. */
  readonly progress: boolean
}

/** Exit statuses of the tool for people. */
export const Exit = {
  ok: 0,
  /** The question was answered, and the answer is bad: problems in a file, differences in a pod. */
  problems: 1,
  /** The question could not be asked: wrong arguments, an unreadable file, a namespace that is gone. */
  trouble: 2,
} as const

/**
 * Why a command could not do its work: one line that says what is wrong and what to do, and perhaps a second that names
 * the help. Names of files are as on the disk, except for control characters.
 */
export class Trouble extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(
      message
        .split(/\n(?=See x-calico-route )/)
        .map(printable)
        .join('\n'),
      options,
    )
  }
}
