import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const ROOT = '/sys/fs/cgroup'
const OWNED = /^xcr-bench-(\d+)(-\d+)?$/
const PERIOD_US = 100_000
const MIB = 1024 * 1024

export interface Limits {
  /** Thousandths of a processor, as in Kubernetes' 500m. Absent: all there are. */
  readonly milliCpu?: number
  readonly memoryMiB: number
}

/** The default limits of Multus' thick plugin, for itself and all plugins it runs. */
export const MULTUS: Limits = { milliCpu: 100, memoryMiB: 50 }

export function limitsText({ milliCpu, memoryMiB }: Limits): string {
  return `${milliCpu === undefined ? 'unlimited' : `${milliCpu}m`} CPU and ${memoryMiB} MiB`
}

export interface Cgroup {
  /** The files to write a process ID to, so that the process joins. */
  readonly procs: readonly string[]
  /** How many of its processes the kernel has killed because memory was short. */
  readonly kills: () => number
  /** Its peak of memory in bytes, page cache included; undefined if this kernel does not say. */
  readonly peak: () => number | undefined
  /** Ends every process in it. */
  readonly kill: () => void
  /** Ends every process in it, and the group. */
  readonly remove: () => void
}

let made = 0

/**
 * A cgroup with these limits, of version 1 or 2, whichever the machine has.
 * @throws Error if none can be made
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
 */
export function createCgroup({ milliCpu, memoryMiB }: Limits): Cgroup {
  made += 1
  const name = `xcr-bench-${process.pid}-${made}`
  const v2 = existsSync(path.join(ROOT, 'cgroup.controllers'))
  const parents = v2 ? [ROOT] : ['cpu', 'memory'].map((controller) => path.join(ROOT, controller))
  for (const parent of parents) removeOrphans(parent)
  if (v2) writeFileSync(path.join(ROOT, 'cgroup.subtree_control'), '+cpu +memory')
  const groups = parents.map((parent) => path.join(parent, name))
  const quota = milliCpu === undefined ? undefined : (milliCpu * PERIOD_US) / 1000
  const limits: Record<string, string | number> = v2
    ? { 'cpu.max': `${quota ?? 'max'} ${PERIOD_US}`, 'memory.max': memoryMiB * MIB, 'memory.swap.max': 0 }
    : {
        'cpu.cfs_period_us': PERIOD_US,
        'cpu.cfs_quota_us': quota ?? -1,
        'memory.limit_in_bytes': memoryMiB * MIB,
        // Memory and swap together, if the kernel counts swap.
        'memory.memsw.limit_in_bytes': memoryMiB * MIB,
      }
  const remove = () => {
    for (const group of groups) if (existsSync(group)) empty(group)
  }
  try {
    for (const group of groups) {
      mkdirSync(group)
      for (const [file, value] of Object.entries(limits)) {
        if (existsSync(path.join(group, file))) writeFileSync(path.join(group, file), String(value))
      }
    }
  } catch (error) {
    remove()
    throw error
  }
  const memory = groups.at(-1) ?? ''
  return {
    procs: groups.map((group) => path.join(group, 'cgroup.procs')),
    kills: () => countIn(path.join(memory, v2 ? 'memory.events' : 'memory.oom_control'), /^oom_kill (\d+)$/m) ?? 0,
    peak: () => countIn(path.join(memory, v2 ? 'memory.peak' : 'memory.max_usage_in_bytes'), /^(\d+)$/m),
    kill: () => groups.forEach(kill),
    remove,
  }
}

function countIn(file: string, pattern: RegExp): number | undefined {
  if (!existsSync(file)) return undefined
  const [, count] = pattern.exec(readFileSync(file, 'utf8')) ?? []
  return count === undefined ? undefined : Number(count)
}

function kill(group: string): void {
  for (const pid of readFileSync(path.join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
  }
}

function empty(group: string): void {
  for (let tries = 0; tries < 500; tries += 1) {
    kill(group)
    try {
      rmdirSync(group)
      return
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

/** Removes the groups of benchmarks that were killed: those whose process is gone. */
function removeOrphans(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = OWNED.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) empty(path.join(parent, name))
  }
}
