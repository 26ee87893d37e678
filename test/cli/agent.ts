/** Agents as a node runs them, and what they say. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { staying } from './tool.ts'

/** A line of an agent's log. */
export interface Said {
  readonly time: string
  readonly level: 'info' | 'warn' | 'error'
  readonly msg: string
  readonly [key: string]: unknown
}

interface How {
  /** A shell command in which "$@" starts it. */
  readonly shell?: string
  readonly executable?: string
}

/** Starts `x-calico-route agent`, which is killed when the test ends. */
export function agent(words: readonly string[], how: How = {}) {
  const { child } = staying(['agent', ...words], how)
  let [text, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (text += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const all = (): Said[] => {
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
    return lines.filter(Boolean).map((line) => JSON.parse(line))
  }
  let told = 0
  /** The next line whose message contains `msg`, or matches it. What came before it is not looked at any more. */
  const until = async (msg: string | RegExp, timeout = 30_000): Promise<Said> => {
    const matches = (said: Said) => (typeof msg === 'string' ? said.msg.includes(msg) : msg.test(said.msg))
    const find = () => all().findIndex((said, index) => index >= told && matches(said))
    await expect
      .poll(() => (find() >= 0 ? 'said' : `not said: ${msg}; but: ${stderr}${text}`), { timeout, interval: 20 })
      .toBe('said')
    told = find() + 1
    return all()[told - 1] as Said
  }
  /** What was said since the last `until`. */
  const since = (): Said[] => all().slice(told)
  /** As kubelet ends it. @returns how long it took, in milliseconds */
  const end = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number> => {
    const started = performance.now()
    child.kill(signal)
    expect(await child).toMatchObject({ exitCode: 0, stderr: '' })
    return performance.now() - started
  }
  return { child, until, since, all, end }
}

/** Where the agent listens, which its log tells. */
export async function listening(running: Pick<ReturnType<typeof agent>, 'until'>): Promise<string> {
  const { msg } = await running.until('metrics: listening on ')
  return `http://${msg.slice('metrics: listening on '.length)}`
}

/** What one of its pages says. */
export async function page(url: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(url)
  return { status: answer.status, text: await answer.text() }
}

/** Waits until the agent has had the time to look several times. */
export const severalLooks = () => sleep(1500)
