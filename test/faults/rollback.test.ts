/** ip(8) is killed at the last change of ADD; then something goes wrong in the rollback as well, once or twice. */
import { expect } from 'vitest'
import { configure } from '../support/netns.ts'
import type { Ending } from './call.ts'
import { conversationOf, isLate, Moments, partly } from './moments.ts'
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

type Again = 'killed, then that line fails' | 'killed, then killed there again' | 'killed, then killed at once'
const AGAIN: readonly Again[] = [
  'killed, then that line fails',
  'killed, then killed there again',
  'killed, then killed at once',
]

/** What is undone when ip(8) is killed at a line, and what is left: the other ip(8) does its part all the same. */
function undoneAt(row: number, undo: readonly string[]): { readonly done: readonly string[]; readonly left: string[] } {
  const isDone = (line: string, i: number) => i < row || (isLate(line) && !isLate(undo[row] ?? ''))
  return { done: undo.filter(isDone), left: undo.filter((line, i) => !isDone(line, i)) }
}

/** At the second time the error says what is left to do, and doing it brings the pod back. */
function twice(scenario: Scenario): Table {
  const { add, undo } = scenario
  const start = add.slice(0, -1)
  const state = (row: number) => {
    const { done } = undoneAt(row, undo)
    if (done.length === 0) return 'nothing undone'
    return `${partly(done.length, undo.length)}${done.length > row ? ', those of IPv6 rules among them' : ''}`
  }
  const allBut = (row: number) => `all undone but \`${undo[row]}\``
  const moments = new Moments('ADD', undo, scenario)
  return {
    title: `Rollback, twice: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'ADD'),
    states: {
      ...Object.fromEntries(undo.map((_, row) => [state(row), [...start, ...undoneAt(row, undo).done]])),
      ...Object.fromEntries(undo.map((_, row) => [allBut(row), [...start, ...undo.toSpliced(row, 1)]])),
    },
    rows: undo.map((line) => `\`${line}\``),
    columns: AGAIN,
    cell: (column, row) => {
      const again = column as Again
      const { left } = undoneAt(row, undo)
      const says = {
        'killed, then that line fails': `still to do: ${undo[row]}`,
        'killed, then killed there again': `perhaps still to do: ${left.join(', ')}`,
        'killed, then killed at once': `perhaps done: ${add.join(', ')}`,
      }
      const last = conversationOf(3, scenario)
      const there = new Moments('ADD', left, scenario).change(0, last)
      const third = {
        'killed, then that line fails': { ...there, action: CHILD.fails },
        'killed, then killed there again': { ...there, action: CHILD['is killed'] },
        'killed, then killed at once': { conversation: last, line: 1, action: CHILD['is killed'] },
      }
      return {
        code: 102,
        state: again === 'killed, then that line fails' ? allBut(row) : state(row),
        says: [says[again]],
        injections: [
          stopped(scenario),
          { ...moments.change(row, conversationOf(2, scenario)), action: CHILD['is killed'] },
          third[again],
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
