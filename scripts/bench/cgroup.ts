import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const ROOT = '/sys/fs/cgroup'
const OWNED = /^xcr-bench-(\d+)$/

/** What Multus' thick plugin gives itself and all plugins it runs, unless told otherwise. */
export const LIMITS = { cpu: '100m', memory: '50 MiB' } as const
const PERIOD_US = 100_000
const QUOTA_US = 10_000
const MEMORY = 50 * 1024 * 1024

export interface Cgroup {
  /** The files to write a process number to, for it to join. */
  readonly procs: readonly string[]
  /** Ends every process in it. */
  readonly kill: () => void
  /** Ends every process in it, and the group. */
  readonly remove: () => void
}

/**
 * A control group with LIMITS, of version 1 or 2, whichever the machine has.
 * @throws Error where none can be made
 */
export function limitedCgroup(): Cgroup {
  const name = `xcr-bench-${process.pid}`
  const v2 = existsSync(path.join(ROOT, 'cgroup.controllers'))
  const parents = v2 ? [ROOT] : ['cpu', 'memory'].map((controller) => path.join(ROOT, controller))
  for (const parent of parents) removeOrphans(parent)
  if (v2) writeFileSync(path.join(ROOT, 'cgroup.subtree_control'), '+cpu +memory')
  const groups = parents.map((parent) => path.join(parent, name))
  const limits: Record<string, string | number> = v2
    ? { 'cpu.max': `${QUOTA_US} ${PERIOD_US}`, 'memory.max': MEMORY }
    : { 'cpu.cfs_period_us': PERIOD_US, 'cpu.cfs_quota_us': QUOTA_US, 'memory.limit_in_bytes': MEMORY }
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
  return { procs: groups.map((group) => path.join(group, 'cgroup.procs')), kill: () => groups.forEach(kill), remove }
}

function kill(group: string): void {
  for (const pid of readFileSync(path.join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}

function empty(group: string): void {
  for (let tries = 0; tries < 100; tries += 1) {
    kill(group)
    try {
      rmdirSync(group)
      return
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

/** A benchmark that was killed could not clean up: its groups are those whose process is gone. */
function removeOrphans(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = OWNED.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) empty(path.join(parent, name))
  }
}
