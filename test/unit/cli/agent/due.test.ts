import { describe, expect, test } from 'vitest'
import {
  afterGoodLook,
  afterRepair,
  BUSY_WAIT,
  isDue,
  LONGEST_WAIT,
  NEVER,
  type Outcome,
  type Past,
  type Policy,
} from '../../../../src/cli/agent/due.ts'

const MINUTE = 60_000
const ONLY_SETS: Policy = { repair: false, firstWait: MINUTE }
const ALL: Policy = { repair: true, firstWait: MINUTE }

describe('a pod is repaired', () => {
  const past = (more: Partial<Past>): Past => ({ ...NEVER, ...more })
  test.each<[string, boolean, Past, { owed: number; differs: boolean }, Policy, number]>([
    ['not, if all is well', false, NEVER, { owed: 0, differs: false }, ALL, 0],
    ['not for what tenants do, unless told so', false, NEVER, { owed: 0, differs: true }, ONLY_SETS, 0],
    ['for what tenants do, if told so', true, NEVER, { owed: 0, differs: true }, ALL, 0],
    ['when its sets have changed, differing or not', true, NEVER, { owed: 1, differs: false }, ONLY_SETS, 0],
    ['not again for a change that it follows', false, past({ follows: 3 }), { owed: 3, differs: false }, ONLY_SETS, 0],
    [
      'at once for another change, however often it was repaired just now',
      true,
      past({ follows: 3, tries: 9, triedAt: 1000, triedFor: 3 }),
      { owed: 4, differs: true },
      ONLY_SETS,
      1001,
    ],
    [
      'not at once for the same change, if that failed',
      false,
      past({ tries: 1, triedAt: 0, triedFor: 4 }),
      { owed: 4, differs: true },
      ONLY_SETS,
      MINUTE - 1,
    ],
    [
      'for the same change after a while',
      true,
      past({ tries: 1, triedAt: 0, triedFor: 4 }),
      { owed: 4, differs: true },
      ONLY_SETS,
      MINUTE,
    ],
    [
      'soon again, if a call was working on it',
      true,
      past({ tries: 0, triedAt: 0, triedFor: 4 }),
      { owed: 4, differs: false },
      ONLY_SETS,
      BUSY_WAIT,
    ],
    [
      'not without a pause, if a call was working on it',
      false,
      past({ tries: 0, triedAt: 0, triedFor: 4 }),
      { owed: 4, differs: false },
      ONLY_SETS,
      BUSY_WAIT - 1,
    ],
  ])('%s', (_, expected, past, present, policy, now) => {
    expect(isDue(past, present, policy, now)).toBe(expected)
  })
})

/** When a pod whose routes somebody spoils again within a second is repaired, in minutes. */
function repairsOf(outcome: Outcome, hours: number): number[] {
  const times: number[] = []
  let past = NEVER
  for (let now = 0; now < hours * 60 * MINUTE; now += MINUTE) {
    if (!isDue(past, { owed: 0, differs: true }, ALL, now)) continue
    times.push(now / MINUTE)
    past = afterRepair(past, outcome, 1, now)
  }
  return times
}

describe('a pod that fights back', () => {
  test.each<Outcome>(['repaired', 'failed', 'ok'])('waits twice as long each time, at last an hour: %s', (outcome) => {
    const times = repairsOf(outcome, 24)
    expect(times.slice(0, 8)).toEqual([0, 1, 3, 7, 15, 31, 63, 123])
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(Math.max(...waits)).toBe(LONGEST_WAIT / MINUTE)
    expect(times.length).toBeLessThan(32)
  })

  test('is not held against for the calls that worked on it', () => {
    expect(repairsOf('busy', 1)).toHaveLength(60)
  })

  test('is forgiven when it has been well for as long again', () => {
    let past = afterRepair(afterRepair(NEVER, 'repaired', 1, 0), 'repaired', 1, MINUTE)
    expect(past).toMatchObject({ tries: 2 })
    past = afterGoodLook(past, ALL, 3 * MINUTE)
    expect(past).toMatchObject({ tries: 2, follows: 1 })
    past = afterGoodLook(past, ALL, 5 * MINUTE)
    expect(past).toEqual({ ...NEVER, follows: 1, triedFor: 1 })
  })
})

describe('a pod follows a change', () => {
  test.each<[Outcome, number]>([
    ['ok', 7],
    ['repaired', 7],
    ['busy', 2],
    ['failed', 2],
  ])('after a repair that came to: %s', (outcome, follows) => {
    expect(afterRepair({ ...NEVER, follows: 2 }, outcome, 7, 0).follows).toBe(follows)
  })

  test('after no look: CHECK does not tell of routes that are not wanted any more', () => {
    const past = afterGoodLook({ ...NEVER, follows: 2 }, ONLY_SETS, 0)
    expect(isDue(past, { owed: 3, differs: false }, ONLY_SETS, 0)).toBe(true)
  })

  test('for good: an older repair takes nothing back', () => {
    expect(afterRepair({ ...NEVER, follows: 5 }, 'ok', 3, 0).follows).toBe(5)
  })
})
