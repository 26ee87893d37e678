/** How many calls are made at once: one that waits for a processor must not meet the plugin's time limit of 10 s. */
import { setTimeout as sleep } from 'node:timers/promises'

/** When a call, or something else that is tested, may begin. */
export type Pace = <T>(work: () => Promise<T>) => Promise<T>

function atOnce(most: number): Pace {
  let running = 0
  const queue: (() => void)[] = []
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => queue.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else running -= 1
    }
  }
}

/** For calls that keep a processor busy: a few at a time. */
export const inTurn = atOnce(4)

/** For what waits for a few seconds in between. */
export const withPauses = atOnce(10)

const APART_MS = 150
let last = 0

/** For calls that only wait: all at once, started one after the other. */
export const aside: Pace = async (work) => {
  last = Math.max(last + APART_MS, Date.now())
  await sleep(last - Date.now())
  return work()
}
