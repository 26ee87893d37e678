import type { Lookers } from '../lookers.ts'

/** What is being repaired when the agent is told to go is repaired to its end, if that comes soon. */
const GRACE_MS = 20_000

/** Kills the processes some time after the signal. */
export function killedAfter(signal: AbortSignal, lookers: Lookers): Disposable {
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    timer = setTimeout(() => lookers[Symbol.dispose](), GRACE_MS)
  }
  signal.addEventListener('abort', wait)
  return {
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', wait)
      clearTimeout(timer)
    },
  }
}

/** What `look` finds, unless the signal comes before it ends: then its processes are killed. */
export async function until<T>(signal: AbortSignal, lookers: Lookers, look: () => Promise<T>): Promise<T | undefined> {
  if (signal.aborted) return undefined
  const stop = () => lookers[Symbol.dispose]()
  signal.addEventListener('abort', stop)
  try {
    const found = await look()
    return signal.aborted ? undefined : found
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
