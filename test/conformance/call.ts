/** A process with nothing in its environment but what a vector says, and stdin to the byte. */
import { spawn } from 'node:child_process'

export interface Invocation {
  readonly plugin: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string | Uint8Array
  /** Keep stdin open until the process is gone. */
  readonly stays: boolean
  /** A shell command in which "$0" is the plugin and "$1" the directory. */
  readonly shell: string | undefined
  readonly directory: string
  /** Milliseconds after which everything that was started is killed. */
  readonly within: number
}

export interface Answer {
  readonly stdout: string
  readonly stderr: string
  /** null: killed, by a signal or because it gave no answer in time. */
  readonly exitCode: number | null
}

/** Runs the plugin to its end. stdin is one end of a socket pair, as Node's children have it; pipes need a shell. */
export function call({ plugin, env, stdin, stays, shell, directory, within }: Invocation): Promise<Answer> {
  const [file, ...args] = shell === undefined ? [plugin] : ['/bin/sh', '-c', shell, plugin, directory]
  return new Promise((resolve, reject) => {
    // A process group of its own, so that what a shell has started dies with it.
    const child = spawn(file, args, { env, cwd: '/', detached: true })
    const output: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
    child.stdout.on('data', (chunk) => output.stdout.push(chunk))
    child.stderr.on('data', (chunk) => output.stderr.push(chunk))
    // A plugin may answer without having read everything.
    child.stdin.on('error', () => {})
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, within)
    child.on('error', reject)
    child.on('exit', () => child.stdin.destroy())
    child.on('close', (exitCode) => {
      clearTimeout(timer)
      const text = (chunks: Buffer[]) => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
      try {
        resolve({ stdout: text(output.stdout), stderr: text(output.stderr), exitCode })
      } catch (error) {
        reject(error)
      }
    })
    if (stays) child.stdin.write(stdin)
    else child.stdin.end(stdin)
  })
}
