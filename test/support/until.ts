import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until a condition holds.
 * @param timeout in milliseconds
 * @param what was waited for, if in vain
 */
export async function until(condition: () => Promise<boolean>, timeout: number, what: () => string): Promise<void> {
  const end = performance.now() + timeout
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what()}`)
    await sleep(50)
  }
}
