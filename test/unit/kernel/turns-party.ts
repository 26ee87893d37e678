/**
 * A process that wants to work on a pod, as a thread that waits before each step until the test lets it go on. What is
 * interleaved is the code itself, on a real directory.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { workerData } from 'node:worker_threads'

export const State = { asleep: 0, woken: 1, waits: 2, goes: 3, worked: 4, busy: 5, failed: 6 } as const

export interface Party {
  readonly is: 'call' | 'repair'
  readonly directory: string
  readonly owner: string
  /** What it does, and whether it is at work. */
  readonly shared: Int32Array
}

if (workerData?.shared !== undefined) await live(workerData as Party)

async function live({ is, directory, owner, shared }: Party): Promise<void> {
  const { wait } = Atomics
  const become = (state: number) => {
    Atomics.store(shared, 0, state)
    Atomics.notify(shared, 0)
  }
  let watched = false
  const step = () => {
    if (!watched) return
    become(State.waits)
    wait(shared, 0, State.waits)
  }
  for (const name of ['lstatSync', 'readdirSync', 'readlinkSync', 'symlinkSync', 'unlinkSync'] as const) {
    const real = fs[name] as (...args: unknown[]) => unknown
    Object.assign(fs, {
      [name]: (...args: unknown[]) => {
        step()
        return real(...args)
      },
    })
  }
  // As if it were a process.
  Object.defineProperty(process, 'pid', { value: 1000 + Number(owner) })
  syncBuiltinESMExports()
  // The test decides how long it sleeps.
  Atomics.wait = ((...args: Parameters<typeof wait>) =>
    args[3] === undefined ? wait(...args) : 'timed-out') as typeof wait
  const { takeTurn, withTurn } = await import('../../../src/kernel/turns.ts')

  const work = () => {
    step()
    Atomics.store(shared, 1, 1)
    step()
    Atomics.store(shared, 1, 0)
    return State.worked
  }
  const parts = {
    call: () => withTurn('c0ffee', work, directory),
    repair: () => {
      const end = takeTurn('c0ffee', owner, directory)
      if (end === undefined) return State.busy
      work()
      end()
      return State.worked
    },
  }
  for (;;) {
    wait(shared, 0, State.asleep)
    watched = true
    let outcome: number
    try {
      outcome = await parts[is]()
    } catch {
      outcome = State.failed
    }
    watched = false
    become(outcome)
    wait(shared, 0, outcome)
  }
}
