import { execFile } from 'node:child_process'
import path from 'node:path'
import { oneLine } from '../../errors.ts'
import { Trouble } from '../command.ts'
import { firstBytes, NAME, OWN_EXECUTABLE, type PluginPlace, statOf } from './install-file.ts'

/** The file to run, in the node's root directory if that is not ours. */
type Runnable = Pick<PluginPlace, 'file' | 'hostRoot'>

interface Answer {
  readonly status: number | undefined
  readonly stdout: string
  /** What it printed on stderr; if nothing, how it ended. */
  readonly said: string
}

/** STATUS itself gives up after 10 s. */
const TIME_LIMIT_MS = 30_000

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** What the file under the plugin's name turned out to be. */
export type Identity =
  | { readonly is: 'ours'; readonly version: string }
  | { readonly is: 'broken'; readonly says: string }
  | { readonly is: 'foreign'; readonly says: string }
  /** Others can change it, and so choose what would run. So it was not run. */
  | { readonly is: 'weak'; readonly says: string; readonly remedy: string }

/** Asks a regular file for its version, if the kernel would start it. */
export async function identify(asked: Runnable, signal: AbortSignal): Promise<Identity> {
  if (!(await isStartable(asked.file)))
    return { is: 'broken', says: 'it is not a program for this machine, or only part of one' }
  const { status, stdout, said } = await start(asked, ['--version'], {}, '', signal)
  const version = new RegExp(`^${NAME} (\\S+)\n$`).exec(stdout)?.[1]
  if (status === 0 && version !== undefined) return { is: 'ours', version }
  // 126 and 127 come from nsenter and the dynamic linker.
  if (status === undefined || status >= 126) return { is: 'broken', says: said }
  return { is: 'foreign', says: oneLine(stdout).slice(0, 80) || said || `nothing, and exit status ${status}` }
}

const ELF = Buffer.from('\x7fELF')

/**
 * Whether execve(2) would start the file. It must be asked first: execvp(3), which starts our children, hands to a shell
 * what the kernel does not start, and a shell would run half a file as a script.
 * @see elf(5)
 */
async function isStartable(file: string): Promise<boolean> {
  const [head, own, stat] = [await firstBytes(file, 64), await firstBytes(OWN_EXECUTABLE, 64), await statOf(file)]
  if (head.subarray(0, 2).toString() === '#!') return true
  if (head.length < 64 || stat === undefined || !head.subarray(0, 4).equals(ELF)) return false
  // Class, byte order and machine must be our own.
  if (!head.subarray(4, 6).equals(own.subarray(4, 6)) || !head.subarray(18, 20).equals(own.subarray(18, 20)))
    return false
  // We only run on 64-bit little-endian machines. The program headers are where the header says; in a patched file, last.
  const endOfProgramHeaders = head.readBigUInt64LE(32) + BigInt(head.readUInt16LE(54) * head.readUInt16LE(56))
  return endOfProgramHeaders <= BigInt(stat.size)
}

/** Whether /bin/sh runs there. Containers often have none, and a few nodes. */
export async function runsScripts({ hostRoot }: Pick<PluginPlace, 'hostRoot'>, signal: AbortSignal): Promise<boolean> {
  const file = path.join(hostRoot ?? '/', 'bin/sh')
  return (await start({ file, hostRoot }, ['-c', ''], {}, '', signal)).status === 0
}

/** Calls a file with VERSION. @throws Trouble if it does not answer that it supports our version */
export async function askVersion(asked: Runnable, signal: AbortSignal): Promise<void> {
  const { status, stdout, said } = await start(asked, [], { CNI_COMMAND: 'VERSION' }, '{"cniVersion":"1.1.0"}', signal)
  if (status === 0 && supports(stdout, '1.1.0')) return
  throw new Trouble(
    `VERSION: ${NAME} does not answer on this node: ${said || oneLine(stdout)}; it needs glibc 2.28 or newer, libstdc++ and ` +
      'libgcc_s, an executable built for this machine, and a directory that is not mounted noexec',
  )
}

function supports(stdout: string, cniVersion: string): boolean {
  try {
    return (JSON.parse(stdout) as { supportedVersions: string[] }).supportedVersions.includes(cniVersion)
  } catch {
    return false
  }
}

/** Calls a file with STATUS. @throws Trouble if ADD could not work on this node */
export async function askStatus(asked: Runnable, signal: AbortSignal): Promise<void> {
  const conf = JSON.stringify({ cniVersion: '1.1.0', name: 'install', type: NAME })
  const { status, stdout, said } = await start(asked, [], { CNI_COMMAND: 'STATUS' }, conf, signal)
  if (status === 0) return
  throw new Trouble(`STATUS: ADD could not work on this node: ${refusalIn(stdout) || said}`)
}

function refusalIn(stdout: string): string {
  try {
    const { code, msg, details } = JSON.parse(stdout) as { code: number; msg: string; details?: string }
    return `${msg}${details ? `; ${details}` : ''} (code ${code})`
  } catch {
    return oneLine(stdout)
  }
}

/** Runs the file as a runtime on the node would: in the node's root directory, with no other variables. */
function start(
  { file, hostRoot }: Runnable,
  words: readonly string[],
  vars: Readonly<Record<string, string>>,
  stdin: string,
  signal: AbortSignal,
): Promise<Answer> {
  const [command, ...args] =
    hostRoot === undefined
      ? [file, ...words]
      : ['nsenter', `--root=${hostRoot}`, `--wd=${hostRoot}`, path.join('/', path.relative(hostRoot, file)), ...words]
  return new Promise((resolve, reject) => {
    const child = execFile(
      command as string,
      args,
      { env: { PATH, LC_ALL: 'C', ...vars }, cwd: '/', timeout: TIME_LIMIT_MS, killSignal: 'SIGKILL', signal },
      (error, stdout, stderr) => {
        if (signal.aborted) return reject(new Trouble('interrupted; nothing was changed'))
        const said = oneLine(stderr)
        if (hostRoot !== undefined && error?.code === 'ENOENT')
          return reject(new Trouble('--host-root: nsenter is missing; install util-linux'))
        if (error?.code === 1 && hostRoot !== undefined && said.startsWith('nsenter: '))
          return reject(new Trouble(`--host-root ${hostRoot}: cannot be entered: ${said}; add CAP_SYS_CHROOT`))
        const status = error ? (typeof error.code === 'number' ? error.code : undefined) : 0
        resolve({ status, stdout, said: said || ending(error) })
      },
    )
    // A program that ends without reading breaks the pipe. How it ended says more than that.
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin)
  })
}

function ending(error: (Error & { killed?: boolean; signal?: NodeJS.Signals | null; code?: unknown }) | null): string {
  if (!error) return ''
  if (error.killed) return `timed out after ${TIME_LIMIT_MS / 1000} s`
  if (error.signal) return `killed by ${error.signal}`
  return typeof error.code === 'number' ? `exit status ${error.code}` : error.message
}
