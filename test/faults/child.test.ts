/** What ip(8) does wrong, once. */
import { between, type Kind, Moments, partly } from './moments.ts'
import { CROWDED, SCENARIOS, type Scenario } from './scenarios.ts'
import { CHILD, type ChildFault } from './stand-in.ts'
import { type Cell, callOf, type Table, tables } from './tables.ts'

const FAULTS = Object.keys(CHILD) as ChildFault[]

/** The codes of ADD and CHECK. At the end everything is known: only how ip(8) ends still counts. */
const CODES: Record<ChildFault, Record<Kind, number | undefined>> = {
  fails: { question: 100, change: 100, look: 100, end: undefined },
  hangs: { question: 104, change: 104, look: 104, end: 104 },
  'is killed': { question: 100, change: 100, look: 100, end: 100 },
  'prints garbage': { question: 103, change: 103, look: 103, end: 0 },
  'prints half a line and ends': { question: 100, change: 100, look: 100, end: 0 },
  'closes stdout': { question: 104, change: 100, look: 100, end: 0 },
}

const add = (scenario: Scenario): Table => {
  const moments = new Moments('ADD', scenario.add, scenario)
  return {
    title: `ADD: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'ADD'),
    states: { 'as it was': [], 'as configured': scenario.add },
    rows: moments.rows,
    columns: FAULTS,
    cell: (column, row) => {
      const fault = column as ChildFault
      const code = CODES[fault][moments.kind(row)]
      if (code === undefined) return undefined
      const state = code === 0 ? 'as configured' : 'as it was'
      return { code, state, waits: code === 104, injections: [{ ...moments.at(row), action: CHILD[fault] }] }
    },
  }
}

const check = (scenario: Scenario): Table => {
  const moments = new Moments('CHECK', [], { rules: scenario.rules ?? false })
  return {
    title: `CHECK: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'CHECK'),
    start: scenario.add,
    states: { 'as it was': scenario.add },
    rows: moments.rows,
    columns: FAULTS,
    cell: (column, row) => {
      const fault = column as ChildFault
      const kind = moments.kind(row)
      const code = CODES[fault][kind]
      // At the end of the lines CHECK has asked for ways as well, and ip(8) may still be answering.
      if (code === undefined || (kind === 'end' && code === 0)) return undefined
      return {
        code,
        state: 'as it was',
        waits: code === 104,
        injections: [{ ...moments.at(row), action: CHILD[fault] }],
      }
    },
  }
}

/** DEL succeeds whatever happens; what it could not remove goes with the namespace. */
const del = (scenario: Scenario): Table => {
  const moments = new Moments('DEL', scenario.del, scenario)
  const count = scenario.del.length
  const done = (changes: number) =>
    changes === 0 ? 'as it was' : changes === count ? 'removed' : partly(changes, count)
  const outcome = (fault: ChildFault, row: number): Pick<Cell, 'state' | 'warned' | 'waits'> | undefined => {
    const kind = moments.kind(row)
    if (fault === 'fails' && kind === 'end') return undefined
    if (kind === 'question') {
      // With its stdout closed, ip(8) and the plugin wait for each other.
      const waits = fault === 'hangs' || fault === 'closes stdout'
      // Without the rules of IPv6, all else is removed.
      return { state: waits ? 'as it was' : done(moments.through(row)), warned: true, waits }
    }
    switch (fault) {
      case 'fails':
      case 'is killed':
        return { state: 'removed' } // at the second attempt
      case 'hangs':
        return { state: done(moments.before(row)), warned: true, waits: true }
      case 'prints half a line and ends':
        return kind === 'end' ? { state: 'removed' } : { state: done(moments.before(row)), warned: true }
      case 'prints garbage':
      case 'closes stdout':
        return kind === 'end' ? { state: 'removed' } : { state: done(moments.through(row)), warned: true }
      default:
        throw fault satisfies never
    }
  }
  return {
    title: `DEL: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'DEL'),
    start: scenario.add,
    states: {
      'as it was': scenario.add,
      ...between(scenario.add, scenario.del),
      removed: [...scenario.add, ...scenario.del],
    },
    rows: moments.rows,
    columns: FAULTS,
    cell: (column, row) => {
      const fault = column as ChildFault
      const expected = outcome(fault, row)
      return expected && { ...expected, code: 0, injections: [{ ...moments.at(row), action: CHILD[fault] }] }
    },
  }
}

/** A line of DEL that ip(8) refuses each time: a default route whose copy cannot be made stays, and the others of ours go. */
const refused = (scenario: Scenario): Table => {
  const { add: start, del: changes } = scenario
  const isOurs = (line: string) => / proto(?:col)? 142(?: |$)/.test(line)
  const possible = (row: number) => changes.filter((line, i) => i < row || (i > row && isOurs(line)))
  const state = (row: number) =>
    `changes ${changes.flatMap((line, i) => (possible(row).includes(line) ? i + 1 : [])).join(', ') || 'none'}`
  return {
    title: `DEL, each time: ${scenario.title}`,
    scenario,
    act: callOf(scenario, 'DEL'),
    start,
    states: Object.fromEntries(changes.map((_, row) => [state(row), [...start, ...possible(row)]])),
    rows: changes.map((line) => `\`${line}\``),
    columns: ['fails'],
    cell: (_, row) => ({
      code: 0,
      warned: true,
      state: state(row),
      injections: [{ every: (changes[row] ?? '').replace('-6 ', ''), action: CHILD.fails }],
    }),
  }
}

const ALL = [...SCENARIOS, CROWDED]
tables('child', [...ALL.map(add), ...ALL.map(del), ...SCENARIOS.map(refused), ...ALL.map(check)])
