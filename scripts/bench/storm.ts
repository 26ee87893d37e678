import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { type Cgroup, createCgroup, type Limits } from './cgroup.ts'
import { Launcher } from './launcher.ts'
import { forget, warm } from './page-cache.ts'
import type { Pods } from './pods.ts'

/** A node starts: many pods at once, and all plugins in one cgroup. */
export interface Storm {
  readonly command: readonly string[]
  readonly input: string
  readonly verb: 'ADD' | 'DEL'
  readonly calls: number
  readonly limits: Limits
  /** How much of the limit the daemon that owns the cgroup already uses. */
  readonly takenMiB: number
  /** The large files that the calls need. */
  readonly executables: readonly string[]
  /** Where these are at first: in the page cache and charged to somebody else, only on the disk, or unchanged. */
  readonly pages: 'warm' | 'cold' | 'as they are'
  /** When calls that still run are killed. */
  readonly patienceS: number
}

export interface Weathered {
  readonly succeeded: number
  readonly seconds: number
  readonly kills: number
  readonly peakMiB: number | undefined
  /** It timed out. */
  readonly late: boolean
}

export async function weather(storm: Storm, pods: Pods): Promise<Weathered> {
  const { command, input, verb, calls, limits, executables, pages, patienceS } = storm
  const cgroup = createCgroup(limits)
  try {
    using _ = ballast(cgroup, storm.takenMiB)
    if (pages === 'cold') await forget(executables)
    if (pages === 'warm') await warm(executables)
    using launcher = new Launcher(cgroup.procs)
    let late = false
    const timer = setTimeout(() => {
      late = true
      cgroup.kill()
    }, patienceS * 1000)
    const { wall, failed } = await launcher.run({ calls, verb, netns: pods.path, input, command })
    clearTimeout(timer)
    const peak = cgroup.peak()
    return {
      succeeded: calls - failed,
      seconds: wall / 1000,
      kills: cgroup.kills(),
      peakMiB: peak === undefined ? undefined : peak / 2 ** 20,
      late,
    }
  } finally {
    cgroup.remove()
  }
}

/** Takes memory that can neither be reclaimed nor freed by killing a process: a tmpfs file is charged to the cgroup that wrote it. */
function ballast({ procs }: Cgroup, mebibytes: number): Disposable {
  const file = `/run/xcr-ballast-${process.pid}`
  const script = 'for file; do echo 0 >"$file" || exit; done; exec head -c "$BYTES" /dev/zero >"$0"'
  execFileSync('sh', ['-ec', script, file, ...procs], { env: { ...process.env, BYTES: String(mebibytes * 2 ** 20) } })
  return {
    [Symbol.dispose]: () => {
      if (existsSync(file)) rmSync(file)
    },
  }
}
