import { printable } from './paint.ts'

/** What a command is given of the terminal it was typed in; a pipe is a terminal without colours. */
export interface Terminal {
  /** Writes to stdout. */
  readonly out: (text: string) => void
  /** Writes to stderr: progress and complaints, never a result. */
  readonly err: (text: string) => void
  /** All of stdin. */
  readonly input: () => string
  /** Whether stdout takes colours. */
  readonly colors: boolean
  /** How wide stdout is; undefined if it is no terminal. */
  readonly columns?: () => number | undefined
  /** Whether stderr is a terminal, on which a line may be written over. */
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
 * Why a command could not do its work: one line that says what is wrong and what to do, and perhaps one that names its help.
 * Names of files stand in it as they are on the disk; what a terminal would obey does not.
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
