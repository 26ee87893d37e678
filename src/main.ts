import { startupSnapshot } from 'node:v8'
import { about, help, version } from './cli/help.ts'
import { dispatch } from './dispatch.ts'
import { writeAll } from './stdio.ts'

/** The only file that touches the process: environment and arguments in, stdout and exit status out. */
async function main(): Promise<void> {
  const words = process.argv.slice(2)
  if (words.length > 0) return person(words)
  if (!process.env['CNI_COMMAND']) return leave(2, about(), 0)
  const { stdout, exitCode } = await dispatch(process.env)
  leave(1, stdout, exitCode)
}

/** A runtime passes no arguments, so these come from a person. */
function person(words: readonly string[]): void {
  const [word] = words
  if (words.length === 1 && (word === '--help' || word === '-h' || word === 'help')) return leave(1, help(), 0)
  if (words.length === 1 && word === '--version') return leave(1, version(), 0)
  leave(2, `x-calico-route: unknown argument ${JSON.stringify(word)}; see x-calico-route --help\n`, 2)
}

function leave(fd: 1 | 2, text: string, exitCode: number): void {
  try {
    writeAll(fd, text)
    process.exitCode = exitCode
  } catch {
    // The reader is gone. It will not see a Result either, so this must not pass for success.
    process.exitCode = exitCode || 1
  }
}

// The executable starts from a V8 snapshot of this module fully loaded (see scripts/build.ts); without one it just runs.
if (startupSnapshot.isBuildingSnapshot()) startupSnapshot.setDeserializeMainFunction(main)
else void main()
