/** What a call costs, counted instead of timed: processes, threads, files and instructions are the same on a busy machine. */
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { PLUGIN } from './runtime.ts'

export interface Call {
  readonly env: Record<string, string>
  readonly stdin: string
}

export interface Trace {
  readonly exitCode: number | undefined
  readonly stdout: string
  /** The programs that each child process executed, one after the other. */
  readonly children: string[][]
  /** How many threads the plugin started beside its first. */
  readonly threads: number
  /** What the plugin itself tried to open once it was linked; each once, sorted, without what differs from run to run. */
  readonly opens: string[]
}

/** ?: not every architecture has it. */
const TRACED = 'execve,?execveat,?fork,?vfork,clone,?clone3,?open,openat,?openat2'
/** Opened when two threads happen to want the same at once: malloc(3) asks for the number of processors, V8 for the speed of their clock. */
const BY_CHANCE = ['/sys/devices/system/cpu/online', '/sys/devices/system/cpu/cpu0/tsc_freq_khz']
const LIBRARY = /^\/etc\/ld\.so\.|\.so(\.\d+)*$/

/** One call of the plugin under strace(1). `directory` is a scratch one. */
export async function traced(directory: string, call: Call): Promise<Trace> {
  // -ff: a file for each thread, named by its id. In one file for all, their lines would interrupt each other.
  const strace = ['strace', '-ff', '--seccomp-bpf', `--trace=${TRACED}`, '-o', path.join(directory, 'trace')]
  const { exitCode, stdout } = await start(directory, [...strace, PLUGIN], call)

  const logs = new Map(
    readdirSync(directory).flatMap((name) => {
      const [, id] = /^trace\.(\d+)$/.exec(name) ?? []
      return id ? [[id, readFileSync(path.join(directory, name), 'utf8')]] : []
    }),
  )
  const [main = ''] = [...logs].find(([, log]) => log.startsWith(`execve("${PLUGIN}"`)) ?? []
  const threads = matches(logs.get(main), /^clone3?\(.*\bCLONE_THREAD\b.* = (\d+)$/gm)
  const others = [...logs].filter(([id]) => id !== main && !threads.includes(id))
  const opened = [main, ...threads].flatMap((id) => matches(logs.get(id), /^open\w*\((?:\w+, )?"([^"]*)"/gm))
  const firstOfOurs = opened.findIndex((file) => !LIBRARY.test(file))
  const ours = opened.slice(firstOfOurs).filter((file) => !BY_CHANCE.includes(file))
  return {
    exitCode,
    stdout,
    children: others.map(([, log]) => matches(log, /^execve\w*\((?:\w+, )?"[^"]*?([^"/]+)".* = 0$/gm)),
    threads: threads.length,
    opens: [...new Set(ours.map((file) => named(file, call)))].sort(),
  }
}

/** The system calls of the plugin that have to do with a file, in order. */
export async function callsOn(file: string, directory: string, call: Call): Promise<string[]> {
  const log = path.join(directory, 'calls')
  // -y writes the path of each descriptor. Without -f there is only the thread that reads files.
  const strace = ['strace', '-y', '--trace=%file,%desc', '-o', log]
  const { exitCode, stdout } = await start(directory, [...strace, PLUGIN], call)
  if (exitCode !== 0) throw new Error(stdout)
  const lines = readFileSync(log, 'utf8').split('\n')
  return lines.filter((line) => line.includes(file)).flatMap((line) => /^\w+/.exec(line) ?? [])
}

function matches(log = '', pattern: RegExp): string[] {
  return [...log.matchAll(pattern)].map(([, group = '']) => group)
}

function named(file: string, { env, stdin }: Call): string {
  if (file === env.CNI_NETNS) return 'CNI_NETNS'
  if (file === realpathSync(PLUGIN)) return 'the executable'
  if (path.dirname(file) === JSON.parse(stdin).setsDir) return 'the set'
  // Which of its files hold the limits of memory, and where, is up to the version of cgroups and to the machine.
  return file.replace(/^\/sys\/fs\/cgroup\/.*/, '/sys/fs/cgroup/…')
}

/** How many instructions a process of this command executes, all its threads and no child, by callgrind. */
export async function instructions(directory: string, command: string[], call: Call): Promise<number> {
  const callgrind = [
    '--tool=callgrind',
    '--callgrind-out-file=/dev/null',
    '--trace-children=no',
    // V8 writes code, and writes over it.
    '--smc-check=all-non-file',
  ]
  const { exitCode, stderr } = await start(directory, ['valgrind', ...callgrind, ...command], call)
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? []
  if (exitCode !== 0 || !collected) throw new Error(`valgrind ${command.join(' ')}: exit status ${exitCode}\n${stderr}`)
  return Number(collected)
}

/** stdin is a file: for the socket that Node gives to its children, VERSION loads modules that no runtime's pipe needs. */
async function start(directory: string, command: string[], { env, stdin }: Call) {
  const file = path.join(directory, 'stdin')
  writeFileSync(file, stdin)
  // The shell would add a variable of its own.
  const shell = ['-c', 'unset PWD; exec "$@" <"$0"', file, ...command]
  const { exitCode, stdout, stderr } = await execa('sh', shell, { env, extendEnv: false, reject: false })
  return { exitCode, stdout, stderr }
}
