import { rmSync } from 'node:fs'
import { messageOf } from '../errors.ts'
import { makeTurns as make, TURNS } from '../kernel/turns.ts'
import { onThisSide } from './node-root.ts'

/** Where the calls and repairs of a node take turns. @param root where the node's root directory is mounted */
export const turnsBelow = (root: string): string => onThisSide(root, TURNS)

/**
 * Makes the directory ahead of the first repair, which cannot see calls that began before it was there.
 * @returns what is wrong if it is not there
 */
export function makeTurns(root: string): string | undefined {
  try {
    make(turnsBelow(root))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Removes the directory. Calls do without it. */
export function removeTurns(root: string): void {
  try {
    rmSync(turnsBelow(root), { recursive: true, force: true })
  } catch {
    // It goes with the next restart of the node.
  }
}
