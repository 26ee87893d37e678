/** ip(8) is killed at the last change of ADD; then something goes wrong in the rollback as well, once or twice. */
import { expect } from 'vitest'
import { configure } from '../support/netns.ts'
import type { Ending } from './call.ts'
import { between, conversationOf, Moments, partly } from './moments.ts'
import { inPod, stateOf } from './pod.ts'
import { CROWDED, SCENARIOS, type Scenario } from './scenarios.ts'
import { CHILD, type ChildFault, type Injection } from './stand-in.ts'
import { callOf, type Table, tables } from './tables.ts'

const FAULTS = Object.keys(CHILD) as ChildFault[]

const stopped = (scenario: Scenario): Injection => ({
  ...new Moments('ADD', scenario.add, scenario).last(),
  action: CHILD['is killed'],
})

/** A rollback that fails is tried once more. */
function once(scenario: Scenario): Table {
  const moments = new Moments('ADD', scenario.undo, scenario)
  return {
    title: `Rollback: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'ADD'),
    states: { 'as it was': [] },
    rows: moments.rows,
    columns: FAULTS,
    cell: (column, row) => {
      const fault = column as ChildFault
      const kind = moments.kind(row)
      if (fault === 'fails' && kind === 'end') return undefined
      return {
        code: 100,
        state: 'as it was',
        waits: fault === 'hangs' || (fault === 'closes stdout' && kind === 'question'),
        injections: [stopped(scenario), { ...moments.at(row, conversationOf(2, scenario)), action: CHILD[fault] }],
      }
    },
  }
}

const FIRST_CHANGE = 3
const AGAIN = {
  'killed, then that line fails': { line: FIRST_CHANGE, action: CHILD.fails },
  'killed, then killed there again': { line: FIRST_CHANGE, action: CHILD['is killed'] },
  'killed, then killed at once': { line: 1, action: CHILD['is killed'] },
} as const
type Again = keyof typeof AGAIN

/** At the second time the error says what is left to do, and doing it brings the pod back. */
function twice(scenario: Scenario): Table {
  const { add, undo } = scenario
  const start = add.slice(0, -1)
  const state = (done: number) => (done === 0 ? 'nothing undone' : partly(done, undo.length))
  const allBut = (row: number) => `all undone but \`${undo[row]}\``
  return {
    title: `Rollback, twice: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'ADD'),
    states: {
      'nothing undone': start,
      ...between(start, undo),
      ...Object.fromEntries(undo.map((_, row) => [allBut(row), [...start, ...undo.toSpliced(row, 1)]])),
    },
    rows: undo.map((line) => `\`${line}\``),
    columns: Object.keys(AGAIN),
    cell: (column, row) => {
      const again = column as Again
      const says = {
        'killed, then that line fails': `still to do: ${undo[row]}`,
        'killed, then killed there again': `perhaps still to do: ${undo.slice(row).join(', ')}`,
        'killed, then killed at once': `perhaps done: ${add.join(', ')}`,
      }
      return {
        code: 102,
        state: again === 'killed, then that line fails' ? allBut(row) : state(row),
        says: [says[again]],
        injections: [
          stopped(scenario),
          { conversation: 2, line: FIRST_CHANGE + row, action: CHILD['is killed'] },
          { conversation: 3, ...AGAIN[again] },
        ],
        ...(again === 'killed, then killed at once' ? {} : { afterwards: bringsBack(scenario) }),
      }
    },
  }
}

/** Carries out what the error says is still to do. */
const bringsBack =
  (scenario: Scenario) =>
  async (netns: string, { text }: Ending): Promise<void> => {
    const lines = /still to do[^:]*: (.*)$/.exec(text)?.[1]?.split(', ') ?? []
    await configure(netns, lines.join('\n'))
    expect(await stateOf(netns)).toBe(await inPod(scenario, [], stateOf))
  }

tables('rollback', [...[...SCENARIOS, CROWDED].map(once), ...SCENARIOS.map(twice)])
