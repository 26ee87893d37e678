import { setTimeout as sleep } from 'node:timers/promises'
import { Trouble } from './command.ts'

/** How often --stay looks. */
export const EVERY = {
  value: 'SECONDS',
  default: '10',
  about: 'How often --stay looks, 0.1 to 86400 seconds.',
} as const

export function secondsOf(text: string): number {
  const seconds = Number(text)
  // setTimeout(3) of Node takes no longer ones than 24.8 days.
  if (seconds >= 0.1 && seconds <= 86_400) return seconds
  throw new Trouble(`--every: ${JSON.stringify(text)} is no number of seconds from 0.1 to 86400`)
}

/** Aborts at the first SIGTERM or SIGINT, so that what was begun is cleared away before we go. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => controller.abort())
  return controller.signal
}

/** Does `work` again and again until the signal. What keeps it from being done is said, once, and it is tried again. */
export async function stay(
  work: () => Promise<void>,
  every: number,
  signal: AbortSignal,
  say: (trouble: string) => void,
): Promise<void> {
  let said = ''
  while (!signal.aborted) {
    try {
      await work()
      said = ''
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Trouble)) throw error
      if (error.message !== said) say(`${error.message}; trying again every ${every} s\n`)
      said = error.message
    }
    // The signal ends it.
    await sleep(every * 1000, undefined, { signal }).catch(() => {})
  }
}
