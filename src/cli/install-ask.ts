import { execFile } from 'node:child_process'
import path from 'node:path'
import { oneLine } from '../errors.ts'
import { Trouble } from './command.ts'
import { headOf, NAME, OWN, type Place, statOf } from './install-file.ts'

/** A file that an installed plugin is asked by: in the node's own root directory, if that is not ours. */
type Asked = Pick<Place, 'file' | 'hostRoot'>

interface Answer {
  readonly status: number | undefined
  readonly stdout: string
  /** What it said on stderr, or why it ended without a word. */
  readonly said: string
}

/** STATUS itself gives up after 10 s. */
const LIMIT_MS = 30_000

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** What a file in the place of the plugin turned out to be. */
export type Identity =
  | { readonly is: 'ours'; readonly version: string }
  | { readonly is: 'broken'; readonly says: string }
  | { readonly is: 'foreign'; readonly says: string }
  /** Who can change it chooses what is run: so it was not. */
  | { readonly is: 'weak'; readonly says: string; readonly remedy: string }

/** Asks the regular file for its version, unless the kernel would not start it. */
export async function identify(asked: Asked, signal: AbortSignal): Promise<Identity> {
  if (!(await isStartable(asked.file)))
    return { is: 'broken', says: 'no program for this machine, or only a part of it' }
  const { status, stdout, said } = await start(asked, ['--version'], {}, '', signal)
  const version = new RegExp(`^${NAME} (\\S+)\n$`).exec(stdout)?.[1]
  if (status === 0 && version !== undefined) return { is: 'ours', version }
  // 126 and 127 are nsenter's and the dynamic linker's.
  if (status === undefined || status >= 126) return { is: 'broken', says: said }
  return { is: 'foreign', says: oneLine(stdout).slice(0, 80) || said || `nothing, and ends with status ${status}` }
}

const ELF = Buffer.from('\x7fELF')

/**
 * Whether execve(2) would take the file. To be asked first: execvp(3), which starts our children, hands to a shell what the
 * kernel does not take, and a shell would run half a file as a script.
 * @see elf(5)
 */
async function isStartable(file: string): Promise<boolean> {
  const [head, own, stat] = [await headOf(file, 64), await headOf(OWN, 64), await statOf(file)]
  if (head.subarray(0, 2).toString() === '#!') return true
  if (head.length < 64 || stat === undefined || !head.subarray(0, 4).equals(ELF)) return false
  // Class, byte order and machine as our own.
  if (!head.subarray(4, 6).equals(own.subarray(4, 6)) || !head.subarray(18, 20).equals(own.subarray(18, 20)))
    return false
  // Only a 64-bit, little-endian machine runs us. The program headers come where the header says, and last if patched.
  const endOfProgramHeaders = head.readBigUInt64LE(32) + BigInt(head.readUInt16LE(54) * head.readUInt16LE(56))
  return endOfProgramHeaders <= BigInt(stat.size)
}

/** Whether the shell that a script names runs there: a container, and few nodes, have none. */
export async function runsScripts({ hostRoot }: Pick<Place, 'hostRoot'>, signal: AbortSignal): Promise<boolean> {
  const file = path.join(hostRoot ?? '/', 'bin/sh')
  return (await start({ file, hostRoot }, ['-c', ''], {}, '', signal)).status === 0
}

/**
 * Has a file answer VERSION.
 * @throws Trouble
 */
export async function askVersion(asked: Asked, signal: AbortSignal): Promise<void> {
  const { status, stdout, said } = await start(asked, [], { CNI_COMMAND: 'VERSION' }, '{"cniVersion":"1.1.0"}', signal)
  if (status === 0 && supports(stdout, '1.1.0')) return
  throw new Trouble(
    `VERSION: ${NAME} does not answer it on this node: ${said || oneLine(stdout)}; it needs glibc 2.28 or newer, libstdc++ ` +
      'and libgcc_s, the executable made for this machine, and a directory that is not mounted noexec',
  )
}

function supports(stdout: string, cniVersion: string): boolean {
  try {
    return (JSON.parse(stdout) as { supportedVersions: string[] }).supportedVersions.includes(cniVersion)
  } catch {
    return false
  }
}

/**
 * Has a file answer STATUS.
 * @throws Trouble if ADD could not work on this node
 */
export async function askStatus(asked: Asked, signal: AbortSignal): Promise<void> {
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

/** Runs the file as a runtime of the node would: in the node's root directory, with nothing else in the environment. */
function start(
  { file, hostRoot }: Asked,
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
      { env: { PATH, LC_ALL: 'C', ...vars }, cwd: '/', timeout: LIMIT_MS, killSignal: 'SIGKILL', signal },
      (error, stdout, stderr) => {
        if (signal.aborted) return reject(new Trouble('interrupted; nothing was changed'))
        const said = oneLine(stderr)
        if (hostRoot !== undefined && error?.code === 'ENOENT')
          return reject(new Trouble('--host-root: nsenter is missing here; install util-linux'))
        if (error?.code === 1 && hostRoot !== undefined && said.startsWith('nsenter: '))
          return reject(new Trouble(`--host-root ${hostRoot}: cannot be entered, CAP_SYS_CHROOT is needed; ${said}`))
        const status = error ? (typeof error.code === 'number' ? error.code : undefined) : 0
        resolve({ status, stdout, said: said || ending(error) })
      },
    )
    // Who ends without reading breaks the pipe; how it ended says more than that.
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin)
  })
}

function ending(error: (Error & { killed?: boolean; signal?: NodeJS.Signals | null; code?: unknown }) | null): string {
  if (!error) return ''
  if (error.killed) return `no end within ${LIMIT_MS / 1000} s, killed`
  if (error.signal) return `ended by ${error.signal}`
  return typeof error.code === 'number' ? `exit status ${error.code}` : error.message
}
