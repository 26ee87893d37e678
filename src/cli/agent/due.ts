/**
 * Which pods to repair, and when. A pod whose sets have changed is owed a repair, and so is one that is new and names any:
 * its ADD may have read the sets before they changed. Without --repair that is a repair of what comes of sets, and no other.
 * With --repair every other pod that differs is repaired too. One that does not stay repaired, or cannot be, waits longer
 * and longer, so that whoever fights back does not keep the node busy.
 */

/** What is remembered of a pod. Times are those of a clock in milliseconds that never jumps. */
export interface Past {
  /** The last change of sets that the pod is known to follow. */
  readonly follows: number
  /** Repairs in a row that were not enough, and when the last of them was. */
  readonly tries: number
  readonly triedAt: number
  /** The last change of sets when that was. */
  readonly triedFor: number
}

export const NEVER: Past = { follows: 0, tries: 0, triedAt: Number.NEGATIVE_INFINITY, triedFor: 0 }

/** What is known of a pod now. */
export interface Present {
  /** The last change of a set that it names; 0 if it names none. */
  readonly owed: number
  /** A look has found that it differs. */
  readonly differs: boolean
}

export interface Policy {
  /** Repair what differs, whatever the reason. */
  readonly repair: boolean
  /** How long to wait after the first repair that was not enough. */
  readonly firstWait: number
}

export const LONGEST_WAIT = 60 * 60 * 1000
/** A call works on the pod: it ends soon. */
export const BUSY_WAIT = 3000

/** Whether to repair the pod now. */
export function isDue(past: Past, { owed, differs }: Present, policy: Policy, now: number): boolean {
  const isOwed = owed > past.follows
  if (!isOwed && !(differs && policy.repair)) return false
  // The change came after all that was tried.
  if (isOwed && past.triedFor < owed) return true
  return now >= past.triedAt + waitAfter(past.tries, policy)
}

/** How long to wait after so many repairs that were not enough. */
export function waitAfter(tries: number, { firstWait }: Policy): number {
  return tries === 0 ? BUSY_WAIT : Math.min(LONGEST_WAIT, firstWait * 2 ** (tries - 1))
}

/** What a repair came to; `ok`: there was nothing to do. */
export type Outcome = 'ok' | 'repaired' | 'busy' | 'failed'

/** @param change the last change of sets when the repair began */
export function afterRepair(past: Past, outcome: Outcome, change: number, now: number): Past {
  const follows = outcome === 'ok' || outcome === 'repaired' ? Math.max(past.follows, change) : past.follows
  // A call that works on the pod is no failure of a repair.
  const tries = outcome === 'busy' ? past.tries : past.tries + 1
  return { follows, tries, triedAt: now, triedFor: change }
}

/**
 * A look has found the pod as it should be. That does not make it follow its sets: like CHECK, a look takes no notice of our
 * routes that are not wanted any more.
 */
export function afterGoodLook(past: Past, policy: Policy, now: number): Past {
  const isCalm = now >= past.triedAt + 2 * waitAfter(past.tries, policy)
  return isCalm ? { ...NEVER, follows: past.follows, triedFor: past.triedFor } : past
}
