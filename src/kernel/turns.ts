import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { pid } from 'node:process'
import { idProblem } from '../cni/request.ts'
import { messageOf, quote } from '../errors.ts'
import { sleep } from '../sleep.ts'
import { clock } from './clock.ts'

/**
 * How a runtime's call and a repair of the same pod keep out of each other's way. Each first puts up its sign, then looks for that
 * of the other: so at least one of them sees the other. A call that sees a repair waits for it; a repair that sees a call
 * leaves the pod alone.
 *
 * A sign is a symbolic link to nothing, because one step of the kernel makes it with all that it says. Times are those of
 * clock(), which is the same for all processes of a node and never jumps; one that is still to come is from before a
 * restart.
 */
export const TURNS = '/run/x-calico-route/turns'

/** No call lasts longer: 10 s for stdin, 20 s for its turn, 40 s for its work, 10 s for a rollback. */
const CALL_MS = 120_000
/** No repair of a pod lasts longer: its process has fewer seconds, and is killed then. */
export const REPAIR_MS = 20_000
/** A call looks again after so many milliseconds. A repair takes some fifty. */
const POLL_MS = 5

/** Names of files have at most 255 characters, and those of calls have a process and a time in them. */
const MAX_CONTAINER = 200

export type WithTurn = typeof withTurn

const lockOf = (directory: string, container: string) => `${directory}/repair.${container}`

/**
 * Does the work of a call while no repair works on the pod. Never fails of itself, and waits for a bounded time: a pod must
 * not fail to start, or to end, because of a repair.
 */
export async function withTurn<T>(container: string, work: () => Promise<T> | T, directory = TURNS): Promise<T> {
  const mark = announce(container, directory)
  if (mark === undefined) return work()
  try {
    outwait(lockOf(directory, container))
    return await work()
  } finally {
    remove(mark)
  }
}

/** @returns undefined if there is no such directory, because nobody repairs anything on this node; or if it cannot be written */
function announce(container: string, directory: string): string | undefined {
  // It throws if something on the path is not a directory.
  const isThere = attempt(() => lstatSync(directory, { throwIfNoEntry: false })) !== undefined
  if (container.length > MAX_CONTAINER || !isThere) return undefined
  const mark = `${directory}/call.${container}.${pid}.${Math.floor(clock())}`
  return attempt(() => {
    symlinkSync('call', mark)
    return mark
  })
}

/** Waits for one repair. Those that come after it see our mark. */
function outwait(lock: string): void {
  if (attempt(() => lstatSync(lock, { throwIfNoEntry: false })) === undefined) return
  const first = targetOf(lock)
  while (first !== undefined && isYoung(timeIn(first), REPAIR_MS) && targetOf(lock) === first) sleep(POLL_MS)
}

/**
 * Takes the turn of a repair.
 * @param owner who takes it, hexadecimal: `leaveTurn` ends it if this process is killed
 * @returns what ends the turn; undefined if a call or another repair works on the pod, or may do so: one that was killed
 * just now, or a call from before the directory was there
 * @throws Error if nobody could be kept out
 */
export function takeTurn(container: string, owner: string, directory = TURNS): (() => void) | undefined {
  if (container.length > MAX_CONTAINER)
    throw new Error(`the container ID is longer than ${MAX_CONTAINER} characters, so no call can be told of the repair`)
  const problem = idProblem(container)
  if (problem !== undefined) throw new Error(`the container ID ${quote(container)} ${problem}`)
  if (makeTurns(directory)) return undefined
  const lock = lockOf(directory, container)
  if (!keepingOut(directory, () => putUp(lock, owner))) {
    // Nobody takes the turn in the same step: of two who did, one could remove the new lock of the other.
    if (!isYoung(timeIn(targetOf(lock) ?? ''), REPAIR_MS)) remove(lock)
    return undefined
  }
  let isFree = false
  try {
    isFree = !keepingOut(directory, () => isCalled(container, directory))
  } finally {
    if (!isFree) remove(lock)
  }
  return isFree ? () => leaveTurn(container, owner, directory) : undefined
}

/** Makes the directory, in which only root can put anything. @returns whether it was not there @throws Error */
export function makeTurns(directory: string): boolean {
  return keepingOut(directory, () => mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined)
}

function keepingOut<T>(directory: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw new Error(
      `${directory}: cannot be made or written, and without it no call of the runtime can be kept out of a pod: ${messageOf(error)}`,
    )
  }
}

/** @returns false if somebody has the turn, or had it and was killed */
function putUp(lock: string, owner: string): boolean {
  try {
    symlinkSync(`${owner}.${Math.floor(clock())}`, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Whether `owner` still has the turn that it took: somebody may have removed the directory. */
export function hasTurn(container: string, owner: string, directory = TURNS): boolean {
  return idProblem(container) === undefined && targetOf(lockOf(directory, container))?.startsWith(`${owner}.`) === true
}

/** Ends the turn that `owner` took on behalf of this process, if it still has it. */
export function leaveTurn(container: string, owner: string, directory = TURNS): void {
  if (hasTurn(container, owner, directory)) remove(lockOf(directory, container))
}

/** Whether a call works on the pod. Removes the signs of calls and repairs that were killed, since their pods may be gone. */
function isCalled(container: string, directory: string): boolean {
  let called = false
  for (const name of readdirSync(directory)) {
    const file = `${directory}/${name}`
    const [, whose, time] = /^call\.(.+)\.\d+\.(\d+)$/.exec(name) ?? []
    if (whose !== undefined && isYoung(Number(time), CALL_MS)) called ||= whose === container
    else if (whose !== undefined || isOldLock(file, name)) remove(file)
  }
  return called
}

function isOldLock(file: string, name: string): boolean {
  return name.startsWith('repair.') && !isYoung(timeIn(targetOf(file) ?? ''), CALL_MS)
}

const timeIn = (target: string) => Number(/\.(\d+)$/.exec(target)?.[1])

function isYoung(time: number, limit: number): boolean {
  const age = clock() - time
  return age >= 0 && age < limit
}

function targetOf(lock: string): string | undefined {
  return attempt(() => readlinkSync(lock))
}

function remove(file: string): void {
  attempt(() => unlinkSync(file))
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
