/** What a program may leave behind on a node. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'

/** Each name with how many there are. */
export type Counts = Readonly<Record<string, number>>

export interface Traces {
  /** Of this sandbox alone, so they have to be the same before and after. */
  readonly own: Counts
  /** Of the whole machine, on which others work too. */
  readonly machine: Counts
}

/** Slab caches of routes and namespaces. What a kernel calls otherwise, or merges with other caches, is not counted. */
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

/** What is written into these becomes visible by a layer of our own above each. /run is the sandbox's own already. */
const LAYERED = ['/tmp', '/var', '/etc', '/root', '/home', '/opt', '/usr/local', '/dev/shm'].filter((directory) =>
  existsSync(directory),
)
const LAYERS = '/run/soak-layers'
const UPPER = path.join(LAYERS, 'upper')

/** What /run held when the watch began. */
let known: ReadonlySet<string> = new Set()

/** Before anything is started: from here on every file that anybody in this sandbox writes can be told. */
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

/** Files that were written since, other than the names of namespaces. */
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

/** Whoever else is in our mount namespace: this sandbox has started it. Zombies have left theirs, but are our children. */
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

/** Objects in use; empty for whoever may not look. */
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
