/** What a runtime does after a call that came to no end, and that it sets everything right. */
import { expect } from 'vitest'
import { call, type Ending } from './call.ts'
import { inPod, stateOf } from './pod.ts'
import type { Scenario } from './scenarios.ts'

const undisturbed = new Map<Scenario, Promise<Ending>>()

/** ADD in a pod where nothing goes wrong. */
export function addOf(scenario: Scenario): Promise<Ending> {
  const known = undisturbed.get(scenario) ?? inPod(scenario, [], (netns) => call(netns, 'ADD', scenario.config))
  undisturbed.set(scenario, known)
  return known
}

/** ADD once more: the state and the Result of an ADD that nothing disturbed. Then DEL, as after that one. */
export async function addsAgain(scenario: Scenario, netns: string): Promise<void> {
  const wanted = await addOf(scenario)
  const { code, violations, stdout, state } = await call(netns, 'ADD', scenario.config)
  expect({ code, violations, stdout }).toEqual({ code: 0, violations: [], stdout: wanted.stdout })
  expect(state).toBe(wanted.state)
  await deletes(scenario, netns, scenario.add.length)
}

/** DEL after so many changes of ADD: nothing of ours is left, and no default route is missing that ADD had not taken away. */
export async function deletes(scenario: Scenario, netns: string, carriedOut: number): Promise<void> {
  const { code, warned, violations, state } = await call(netns, 'DEL', scenario.config)
  expect({ code, warned, violations }).toEqual({ code: 0, warned: false, violations: [] })
  expect(state).not.toMatch(/ proto 14[23]( |$)/m)
  expect(state).toBe(await inPod(scenario, scenario.afterDel(carriedOut), stateOf))
}
