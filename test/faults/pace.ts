/** How many calls are made at once: one that waits for a processor must not meet the plugin's time limit of 10 s. */
import { setTimeout as sleep } from 'node:timers/promises'

const AT_ONCE = 4
let running = 0
const queue: (() => void)[] = []

/** For calls that keep a processor busy: a few at a time. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => queue.push(resolve))
  else running += 1
  try {
    return await work()
  } finally {
    const next = queue.shift()
    if (next) next()
    else running -= 1
  }
}

const APART_MS = 150
let last = 0

/** For calls that only wait: all at once, started one after the other. */
export async function aside<T>(work: () => Promise<T>): Promise<T> {
  last = Math.max(last + APART_MS, Date.now())
  await sleep(last - Date.now())
  return work()
}
