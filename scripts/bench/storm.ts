import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { type Cgroup, createCgroup, type Limits } from './cgroup.ts'
import { Launcher } from './launcher.ts'
import { forget, warm } from './page-cache.ts'
import type { Pods } from './pods.ts'

/** A node starts: many pods at once, all plugins in one control group. */
export interface Storm {
  readonly command: readonly string[]
  readonly input: string
  readonly verb: 'ADD' | 'DEL'
  readonly calls: number
  readonly limits: Limits
  /** What of the limit is taken already, by the daemon whose group it is. */
  readonly takenMiB: number
  /** What the calls run, large enough to matter. */
  readonly executables: readonly string[]
  /** Where these are before: in memory on somebody else's account, on the disk, or wherever they are. */
  readonly pages: 'warm' | 'cold' | 'as they are'
  /** Until when what has not come to its end is ended. */
  readonly patienceS: number
}

export interface Weathered {
  readonly succeeded: number
  readonly seconds: number
  readonly kills: number
  readonly peakMiB: number | undefined
  /** The time was up. */
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

/** Memory that nobody can take back and no process can be killed for: a file of a tmpfs belongs to the group of who wrote it. */
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
