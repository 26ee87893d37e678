import { startupSnapshot } from 'node:v8'
import { about, help, version } from './cli/help.ts'
import { dispatch } from './dispatch.ts'
import { rehearse } from './rehearsal.ts'
import { writeAll } from './stdio.ts'

/** How a call ends: what it prints, where, and its exit status. */
interface Ending {
  readonly fd: 1 | 2
  readonly text: string
  readonly exitCode: number
}

/** The only file that touches the process: environment and arguments in, output and exit status out. */
async function main(): Promise<void> {
  const { fd, text, exitCode } = await call(process.argv.slice(2))
  try {
    writeAll(fd, text)
  } catch {
    // The reader is gone. It will not see a Result either, so this must not pass for success.
    process.exit(exitCode || 1)
  }
  // Everything is written: there is nothing to wait for, and leaving by hand saves taking the heap apart.
  process.exit(exitCode)
}

async function call(words: readonly string[]): Promise<Ending> {
  if (words.length > 0) return answerPerson(words)
  if (!process.env.CNI_COMMAND) return { fd: 2, text: about(), exitCode: 0 }
  const { stdout, exitCode } = await dispatch(process.env)
  return { fd: 1, text: stdout, exitCode }
}

/** A runtime passes no arguments, so these come from a person. */
function answerPerson(words: readonly string[]): Ending {
  const word = words.length === 1 ? words[0] : words.join(' ')
  if (word === '--help' || word === '-h' || word === 'help') return { fd: 1, text: help(), exitCode: 0 }
  if (word === '--version') return { fd: 1, text: version(), exitCode: 0 }
  return { fd: 2, text: `x-calico-route: unknown arguments: ${word}; see x-calico-route --help\n`, exitCode: 2 }
}

// The executable starts from a V8 snapshot of this module fully loaded (see scripts/build.ts); without one it just runs.
if (startupSnapshot.isBuildingSnapshot()) {
  rehearse()
  startupSnapshot.setDeserializeMainFunction(main)
} else {
  void main()
}
