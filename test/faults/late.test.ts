/** The time limit of 10 s, however long the plugin has been running when it begins to count. */
import { afterAll, expect, test } from 'vitest'
import { removeNamespaces } from '../support/netns.ts'
import { call } from './call.ts'
import { inPod } from './pod.ts'
import { SCENARIOS } from './scenarios.ts'
import { CHILD } from './stand-in.ts'

afterAll(removeNamespaces)

// Stdin has 10 s of its own. What is armed while the start-up snapshot is made must not count in a call: it once kept its timer from being set.
test.concurrent.each([0.5, 1, 2, 4, 8])(
  'an ip that hangs is killed, also when the configuration came after %s s',
  async (seconds) => {
    const [scenario] = SCENARIOS
    await inPod(scenario, [], async (netns) => {
      const ending = await call(netns, 'ADD', scenario.config, {
        injections: [{ conversation: 1, line: 3, action: CHILD.hangs }],
        via: ['sh', '-c', `{ sleep ${seconds}; cat; } | "$0"`],
      })
      expect({ code: ending.code, violations: ending.violations }).toEqual({ code: 104, violations: [] })
    })
  },
)
