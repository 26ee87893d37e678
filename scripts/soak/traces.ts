/** What a program may leave behind on a node. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'

/** How many there are of each thing. */
export type Counts = Readonly<Record<string, number>>

export interface Traces {
  /** In this sandbox alone, so they must be the same before and after. */
  readonly own: Counts
  /** On the whole machine, where others work too. */
  readonly machine: Counts
}

/** Slab caches of routes and namespaces. A cache that the kernel names differently, or merges with others, is not counted. */
const SLABS = [
  'ip_fib_alias',
  'ip_fib_trie',
  'rtable',
  'rt6_info',
  'ip6_dst_cache',
  'fib6_node',
  'net_namespace',
  'nsproxy',
]

/** An overlay on each of these directories shows what is written there. /run already belongs to the sandbox. */
const LAYERED = ['/tmp', '/var', '/etc', '/root', '/home', '/opt', '/usr/local', '/dev/shm'].filter((directory) =>
  existsSync(directory),
)
const LAYERS = '/run/soak-layers'
const UPPER = path.join(LAYERS, 'upper')

/** The contents of /run at the start. */
let known: ReadonlySet<string> = new Set()

/** Must come before anything else starts: from here on, every file that the sandbox writes is seen. */
export async function watchFiles(): Promise<void> {
  for (const directory of LAYERED) {
    const upper = path.join(UPPER, directory)
    const work = path.join(LAYERS, 'work', directory)
    for (const made of [upper, work]) mkdirSync(made, { recursive: true })
    const layers = `lowerdir=${directory},upperdir=${upper},workdir=${work}`
    await execa('mount', ['-t', 'overlay', 'overlay', '-o', layers, directory])
  }
  known = new Set(list('/run'))
}

/** The files written since then, except the names of network namespaces. */
export function writtenFiles(): string[] {
  const layered = new Set(LAYERED.flatMap((directory) => parents(directory)))
  const written = list(UPPER).map((file) => `/${file}`)
  const inRun = list('/run')
    .filter((file) => !known.has(file) && !/^(netns|soak-layers)(\/|$)/.test(file))
    .map((file) => `/run/${file}`)
  return [...written.filter((file) => !layered.has(file)), ...inRun].sort()
}

function parents(directory: string): string[] {
  return directory === '/' ? [] : [directory, ...parents(path.dirname(directory))]
}

const list = (directory: string) => readdirSync(directory, { recursive: true, encoding: 'utf8' })

export interface Process {
  readonly pid: number
  readonly text: string
}

/** The other processes of this sandbox: those in our mount namespace, and zombies, which have left it but are our children. */
export function otherProcesses(): Process[] {
  const ours = readlinkSync('/proc/self/ns/mnt')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const [, comm = '', state = '', ppid] =
          /\((.*)\) (\S) (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
        const zombie = state === 'Z' && Number(ppid) === process.pid
        if (!zombie && readlinkSync(`/proc/${pid}/ns/mnt`) !== ours) return []
        return { pid: Number(pid), text: `${comm} (${pid}${zombie ? ', zombie' : ''})` }
      } catch {
        return [] // It has ended meanwhile.
      }
    })
}

export function traces(): Traces {
  return {
    own: {
      processes: otherProcesses().length,
      'descriptors of the caller': readdirSync('/proc/self/fd').length,
      'names of namespaces': readdirSync('/run/netns').length,
      mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
      files: writtenFiles().length,
    },
    machine: { 'open files': Number(readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0]), ...slabs() },
  }
}

/** The number of objects in use; empty if we may not read it. */
function slabs(): Counts {
  let text = ''
  try {
    text = readFileSync('/proc/slabinfo', 'utf8')
  } catch {}
  return Object.fromEntries(
    SLABS.flatMap((name) => {
      const active = new RegExp(`^${name} +(\\d+)`, 'm').exec(text)?.[1]
      return active === undefined ? [] : [[name, Number(active)]]
    }),
  )
}
