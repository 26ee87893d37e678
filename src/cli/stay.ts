import { setTimeout as sleep } from 'node:timers/promises'
import { Trouble } from './command.ts'

/** How often --stay looks. */
export const EVERY = {
  value: 'SECONDS',
  default: '10',
  about: 'How often --stay looks, 0.1 to 86400 seconds.',
} as const

/** @param option the option that has the text, for messages @throws Trouble */
export function secondsOf(option: string, text: string): number {
  const seconds = Number(text)
  // Node's setTimeout takes at most 24.8 days.
  if (seconds >= 0.1 && seconds <= 86_400) return seconds
  throw new Trouble(`${option}: ${JSON.stringify(text)} is not a number of seconds from 0.1 to 86400`)
}

/** Aborts at the first SIGTERM or SIGINT, so that unfinished work is cleaned up before we end. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => controller.abort())
  return controller.signal
}

/**
 * Repeats `work` until the signal. Reports each new trouble once, and tries again.
 * @param sleeper what ends the sleep between two times, the next of which comes at once
 */
export async function stay(
  work: () => Promise<void>,
  every: number,
  signal: AbortSignal,
  say: (trouble: string) => void,
  sleeper: () => AbortSignal = () => signal,
): Promise<void> {
  let said = ''
  while (!signal.aborted) {
    try {
      await work()
      said = ''
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Trouble)) throw error
      if (error.message !== said) say(error.message)
      said = error.message
    }
    await sleep(every * 1000, undefined, { signal: sleeper() }).catch(() => {})
  }
}
