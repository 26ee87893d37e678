import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { removeNamespaces } from '../support/netns.ts'
import { cases } from './model/cases.ts'
import { play, type Tally } from './model/play.ts'
import { modelPod } from './model/pod.ts'
import { SEED } from './runs.ts'

afterAll(removeNamespaces)

/** How many cases there are in all; a nightly run takes thousands. */
const CASES = Number(process.env.XCR_MODEL_RUNS ?? 200)
/** Worlds at once: much of a case is waiting for other processes. */
const WORLDS = [1, 2, 3, 4]
/** Of a failure that is slow to shrink, the smallest case so far is better than none. */
const LIMIT_MS = 120_000 + CASES * 1000
/** How often each must have come up, per case: a model that is never asked proves nothing. */
const LEAST: Tally = {
  added: 0.4,
  refused: 0.1,
  foreseen: 0.1,
  parallel: 0.2,
  lost: 0.05,
  restored: 0.04,
  undone: 0.05,
  undoneInOrder: 0.004,
  meddled: 0.01,
  repaired: 0.05,
  unrepaired: 0.003,
  skipped: 0.02,
}

const tally = Object.fromEntries(Object.keys(LEAST).map((what) => [what, 0])) as unknown as Tally

describe.concurrent(`seed ${SEED}: on the real kernel, whatever the tables, the configurations and the order of the calls`, () => {
  test.each(WORLDS)(
    'each call keeps what the plugin promises, in world %i',
    async (world) => {
      let pod = await modelPod()
      await fc.assert(
        fc.asyncProperty(cases, async (one) => {
          let spoilt = true // an interface may be down where a step failed
          try {
            spoilt = await play(pod, one, tally)
          } finally {
            if (spoilt) {
              pod.remove()
              pod = await modelPod()
            }
          }
        }),
        { numRuns: Math.ceil(CASES / WORLDS.length), seed: SEED + world, interruptAfterTimeLimit: 0.9 * LIMIT_MS },
      )
    },
    LIMIT_MS,
  )
})

test('all of that has come up', () => {
  for (const [what, share] of Object.entries(LEAST)) {
    expect(tally[what as keyof Tally] / CASES, `${what} of ${JSON.stringify(tally)}`).toBeGreaterThan(share)
  }
})
