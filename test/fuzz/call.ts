/** One call of the executable with any bytes on stdin and any environment: it must answer within seconds. */
import { execa } from 'execa'
import { expect } from 'vitest'
import { type Answer, PLUGIN } from '../support/runtime.ts'

/** Far more than a call takes, and less than the plugin's own limit for a child. */
const LIMIT_MS = 8000

interface Options {
  /** A command that starts it, such as `unshare …`. */
  readonly via?: readonly string[]
  readonly limit?: number
  /** Is told the process while it runs. */
  readonly watch?: (pid: number) => void
}

export async function call(
  env: Readonly<Record<string, string>>,
  stdin: Uint8Array,
  { via = [], limit = LIMIT_MS, watch }: Options = {},
): Promise<Answer> {
  const [command = PLUGIN, ...args] = [...via, PLUGIN]
  const running = execa(command, args, {
    input: stdin,
    env: { ...env },
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    timeout: limit,
    killSignal: 'SIGKILL',
    maxBuffer: 256 * 1024 * 1024,
  })
  if (running.pid !== undefined) watch?.(running.pid)
  const { stdout, stderr, exitCode, timedOut, signal } = await running
  expect({ timedOut, signal }, 'hangs or crashes').toEqual({ timedOut: false, signal: undefined })
  return { stdout, stderr, exitCode: exitCode ?? -1 }
}

/** The environment of a call about the pod at a path. */
export const vars = (verb: string, netns: string): Record<string, string> => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: 'c0ffee0123456789',
  CNI_NETNS: netns,
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
})
