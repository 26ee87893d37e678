/** The plugin is killed, by itself or with its child. */
import { expect, test } from 'vitest'
import { call, type Ending } from './call.ts'
import { addOf, addsAgain, deletes } from './converge.ts'
import { between, conversationOf, Moments, partly } from './moments.ts'
import { inPod, stateOf } from './pod.ts'
import { SCENARIOS, type Scenario } from './scenarios.ts'
import { CHILD, ENDS } from './stand-in.ts'
import { callOf, type Table, tables } from './tables.ts'

type End = keyof typeof ENDS
const COLUMNS = Object.keys(ENDS) as End[]
const SIGNALS: Record<End, string> = {
  'the plugin gets SIGKILL': 'SIGKILL',
  'the plugin gets SIGTERM': 'SIGTERM',
  'plugin and ip get SIGKILL': 'SIGKILL',
}

/** How many changes are carried out: an ip(8) that lives goes on with what it was given, all or nothing. */
function carriedOut(end: End, moments: Moments, row: number): number {
  if (end === 'plugin and ip get SIGKILL') return moments.before(row)
  return moments.kind(row) === 'question' ? 0 : moments.through(row)
}

function killed(
  scenario: Scenario,
  verb: 'ADD' | 'DEL',
  {
    silent = false,
    afterwards,
  }: { silent?: boolean; afterwards: (netns: string, carriedOut: number) => Promise<void> },
): Table {
  const changes = verb === 'ADD' ? scenario.add : scenario.del
  const start = verb === 'ADD' ? [] : scenario.add
  const all = verb === 'ADD' ? 'as configured' : 'removed'
  const moments = new Moments(verb, changes, scenario)
  return {
    title: `${verb}: ${scenario.title}${silent ? ', then DEL' : ''}`,
    scenario,
    act: callOf(scenario, verb),
    silent,
    start,
    states: { 'as it was': start, ...between(start, changes), [all]: [...start, ...changes] },
    rows: moments.rows,
    columns: silent ? COLUMNS.slice(-1) : COLUMNS,
    cell: (column, row) => {
      const end = column as End
      const done = carriedOut(end, moments, row)
      return {
        code: SIGNALS[end],
        state: done === 0 ? 'as it was' : done === changes.length ? all : partly(done, changes.length),
        injections: [{ ...moments.at(row), action: ENDS[end] }],
        // Whether ip(8) is killed too makes no other difference to what comes afterwards.
        ...(end === 'plugin and ip get SIGKILL' ? { afterwards: (netns: string) => afterwards(netns, done) } : {}),
      }
    },
  }
}

/** ip(8) is killed at the last change, and in the rollback that follows plugin and ip(8) are. */
function inRollback(scenario: Scenario): Table {
  const start = scenario.add.slice(0, -1)
  const moments = new Moments('ADD', scenario.undo, scenario)
  const count = scenario.undo.length
  return {
    title: `ADD, in its rollback: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'ADD'),
    states: { 'nothing undone': start, ...between(start, scenario.undo), 'as it was': [] },
    rows: moments.rows,
    columns: ['plugin and ip get SIGKILL'],
    cell: (_, row) => {
      const done = moments.before(row)
      return {
        code: 'SIGKILL',
        state: done === 0 ? 'nothing undone' : done === count ? 'as it was' : partly(done, count),
        injections: [
          { ...new Moments('ADD', scenario.add, scenario).last(), action: CHILD['is killed'] },
          { ...moments.at(row, conversationOf(2, scenario)), action: ENDS['plugin and ip get SIGKILL'] },
        ],
        afterwards: (netns) => addsAgain(scenario, netns),
      }
    },
  }
}

tables('killed', [
  ...SCENARIOS.map((scenario) => killed(scenario, 'ADD', { afterwards: (netns) => addsAgain(scenario, netns) })),
  ...SCENARIOS.map((scenario) =>
    killed(scenario, 'ADD', { silent: true, afterwards: (netns, done) => deletes(scenario, netns, done) }),
  ),
  ...SCENARIOS.map((scenario) =>
    killed(scenario, 'DEL', { afterwards: (netns) => deletes(scenario, netns, scenario.add.length) }),
  ),
  ...SCENARIOS.map(inRollback),
])

test.each(SCENARIOS)('undisturbed, ADD and DEL take the batches these tests suppose: $title', async (scenario) => {
  await inPod(scenario, [], async (netns) => {
    const added = await addOf(scenario)
    const first = await call(netns, 'ADD', scenario.config)
    expect(changesIn(first)).toEqual(scenario.add)
    expect(first.state).toBe(added.state)
    const second = await call(netns, 'DEL', scenario.config)
    expect(changesIn(second)).toEqual(scenario.del)
    expect(second.state).toBe(await inPod(scenario, scenario.afterDel(scenario.add.length), stateOf))
  })
})

/** What was told in one attempt. */
function changesIn({ lines }: Ending): string[] {
  expect(lines.length).toBeLessThanOrEqual(2)
  return lines.flatMap((all, i) =>
    all.filter((line) => !/^\S+ show/.test(line)).map((line) => (i === 0 ? line : `-6 ${line}`)),
  )
}
