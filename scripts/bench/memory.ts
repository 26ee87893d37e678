import { spawn } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

/**
 * The peak of anonymous memory of a call, in bytes: the sum of Anonymous in /proc/PID/smaps_rollup over its process tree,
 * read continuously. Files are not included: their pages are in the page cache, shared by all calls, and reclaimed when
 * memory is short.
 */
export async function peakAnonymous(
  command: readonly string[],
  env: Record<string, string>,
  input: string,
): Promise<number> {
  const [file = '', ...args] = command
  const child = spawn(file, args, { env, stdio: ['pipe', 'ignore', 'ignore'] })
  let ended = false
  const end = new Promise<void>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => {
      ended = true
      resolve()
    })
  })
  child.stdin.on('error', () => {}) // bare Node reads nothing
  child.stdin.end(input)
  let peak = 0
  while (!ended) {
    peak = Math.max(peak, anonymousOf(child.pid))
    await setImmediate()
  }
  await end
  return peak
}

function anonymousOf(pid: number | undefined): number {
  if (pid === undefined) return 0
  try {
    const [, kilobytes = '0'] = /^Anonymous:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    const executable = readlinkSync(`/proc/${pid}/exe`)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    // Until a forked child executes a program, its memory is that of its parent.
    const others = children.filter((child) => readlinkSync(`/proc/${child}/exe`) !== executable)
    return others.reduce((sum, child) => sum + anonymousOf(child), Number(kilobytes) * 1024)
  } catch {
    return 0 // It has ended.
  }
}
