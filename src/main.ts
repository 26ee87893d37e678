import { dispatch } from './call/dispatch.ts'
import { hasInput, nameProcess, writeAll } from './call/stdio.ts'
import { SUPPORTED_VERSIONS } from './cni/request.ts'
import { useToolsBeside } from './kernel/tools.ts'
import { start } from './snapshot/start.ts'

/** Set by the build from package.json. */
declare const __VERSION__: string

/** How a call ends: what it prints, where, and its exit status. */
interface Ending {
  readonly fd: 1 | 2
  readonly text: string
  readonly exitCode: number
}

/** The only file that touches the process: environment and arguments in, output and exit status out. */
async function main(): Promise<void> {
  // A runtime passes no arguments: these come from a person.
  const words = process.argv.slice(2)
  if (words.length > 0) process.exit(await servePerson(words))
  useToolsBeside(process.execPath)
  const { fd, text, exitCode } = await call()
  try {
    writeAll(fd, text)
  } catch {
    // The reader is gone, so nobody will see the Result: that is not a success.
    process.exit(exitCode || 1)
  }
  // Everything is written. process.exit saves the time it takes to tear the heap down.
  process.exit(exitCode)
}

async function call(): Promise<Ending> {
  nameProcess('x-calico-route')
  if (!process.env.CNI_COMMAND) return { fd: 2, text: `${about()}${isLikeACall() ? NO_COMMAND : ''}`, exitCode: 0 }
  const { stdout, exitCode } = await dispatch(process.env)
  return { fd: 1, text: stdout, exitCode }
}

/** What a person sees who starts the executable without arguments. */
function about(): string {
  return `x-calico-route ${__VERSION__}: a CNI plugin; a container runtime calls it, after the plugin that makes the NIC.
CNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}
See x-calico-route --help.
`
}

/** Somebody calls the plugin by hand and has forgotten a variable. Like the reference, we only say so. */
function isLikeACall(): boolean {
  return hasInput() || Object.keys(process.env).some((name) => name.startsWith('CNI_'))
}

const NO_COMMAND = 'CNI_COMMAND: not set, so nothing was done; write ADD, DEL, CHECK, VERSION, GC or STATUS\n'

/**
 * The tool for people is an asset of the executable. It is read only here, so its size costs a runtime's call nothing.
 */
function servePerson(words: readonly string[]): Promise<number> {
  const code = process.getBuiltinModule('node:sea').getAsset('cli.cjs', 'utf8')
  const module = { exports: {} as typeof import('./cli/main.ts') }
  const load = process
    .getBuiltinModule('node:vm')
    .compileFunction(code, ['module', 'exports', 'require'], { filename: 'x-calico-route-cli.cjs' })
  load(module, module.exports, process.getBuiltinModule)
  return module.exports.run(words)
}

// Not execPath: a Node.js of another architecture, which runs under qemu when its snapshot is built, could not start itself.
start(main, process.argv0)
