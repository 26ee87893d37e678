import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { CHILD_ENV } from '../kernel/tools.ts'
import { OWN_EXECUTABLE } from './install/install-file.ts'

/**
 * Starts this executable again, for work that one of its own processes does. It sees nothing of our environment.
 * @param limits the words that limit it
 */
export function spawnOurselves(
  limits: readonly string[],
  words: readonly string[],
  options: Pick<SpawnOptions, 'detached' | 'uid' | 'gid'>,
): ChildProcess {
  // The executable that runs now, even if its file has been replaced.
  const executable = openSync(OWN_EXECUTABLE, 'r')
  try {
    const [command = '', ...args] = [...limits, '/proc/self/fd/3', ...words]
    return spawn(command, args, {
      ...options,
      env: CHILD_ENV,
      cwd: '/',
      stdio: ['pipe', 'pipe', 'pipe', executable],
    })
  } finally {
    closeSync(executable)
  }
}

/** The private memory of this process in bytes. Most of it is reserved by V8 for code. @see proc_pid_status(5) VmData */
export function ownData(): number {
  const [, kib = '0'] = /^VmData:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * 1024
}
