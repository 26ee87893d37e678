/**
 * Tables of faults and moments: each cell is a call of the plugin in a pod of its own, held against the code and the state it
 * must end with. README.md shows them; with UPDATE_DOCS=1 they are written there, one file of tests at a time
 * (--no-file-parallelism).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { removeNamespaces } from '../support/netns.ts'
import type { Verb } from '../support/runtime.ts'
import { type Circumstances, call, type Ending } from './call.ts'
import { aside, inTurn, type Pace } from './pace.ts'
import { inPod, stateOf } from './pod.ts'
import type { Scenario } from './scenarios.ts'

const README = fileURLToPath(new URL('README.md', import.meta.url))

export interface Cell extends Circumstances {
  /** Further keys of the network configuration. */
  readonly config?: object
  /** One of the table's states. */
  readonly state: string
  readonly code: number | string
  readonly warned?: boolean
  /** What the call says must contain these. */
  readonly says?: readonly string[]
  /** The call waits for a time limit. */
  readonly waits?: boolean
  /** What is done in the pod afterwards, and looked at. */
  readonly afterwards?: (netns: string, ending: Ending) => Promise<void>
}

export interface Table<C extends Cell = Cell> {
  readonly title: string
  readonly scenario: Scenario
  /** What is done in the pod while something goes wrong. */
  readonly act: (netns: string, cell: C) => Promise<Ending>
  /** Lines for ip(8): what was done in the pod before that. */
  readonly start?: readonly string[]
  /** What the pod may look like afterwards, each made by lines for ip(8) in a new pod, without the plugin. */
  readonly states: Readonly<Record<string, readonly string[]>>
  readonly rows: readonly string[]
  readonly columns: readonly string[]
  /** Undefined: there is no such case. */
  readonly cell: (column: string, row: number) => C | undefined
  readonly pace?: Pace
  /** Not in README.md. */
  readonly silent?: boolean
}

/** A call of the plugin. */
export const callOf =
  ({ config }: Scenario, verb: Verb): Table['act'] =>
  (netns, cell) =>
    call(netns, verb, { ...config, ...cell.config }, cell)

interface Case<C> {
  readonly column: string
  readonly row: number
  readonly cell: C
}

const casesOf = <C extends Cell>({ rows, columns, cell }: Table<C>): Case<C>[] =>
  rows.flatMap((_, row) =>
    columns.flatMap((column) => {
      const expected = cell(column, row)
      return expected ? { column, row, cell: expected } : []
    }),
  )

/** Registers a test for each case, and one for what README.md says of them under the heading `block`. */
export function tables<C extends Cell>(block: string, all: readonly Table<C>[]): void {
  const running = new Map<Case<C>, Promise<Ending>>()
  const cases = new Map(all.map((table) => [table, casesOf(table)]))

  // biome-ignore lint/correctness/noEmptyPattern: vitest wants a pattern here, and no fixture is needed
  beforeAll(({}, file) => {
    for (const table of all) {
      const suite = file.tasks.find(({ name }) => name === table.title)
      if (suite?.type !== 'suite') throw new Error(`no tests of ${table.title}`)
      for (const [i, one] of (cases.get(table) ?? []).entries()) {
        if (suite.tasks[i]?.mode === 'skip') continue // its test is filtered out
        const ending = (one.cell.waits ? aside : (table.pace ?? inTurn))(() => perform(table, one.cell))
        ending.catch(() => {}) // its own test tells
        running.set(one, ending)
      }
    }
  })
  afterAll(removeNamespaces)

  const testsOf = (table: Table<C>) => () => {
    const { rows, scenario, states } = table
    const texts = new Map<string, string>()
    const textOf = async (name: string) => {
      const text = texts.get(name) ?? (await inPod(scenario, states[name] ?? [], stateOf))
      texts.set(name, text)
      return text
    }
    const named = (cases.get(table) ?? []).map((one) => ({ ...one.cell, one, at: rows[one.row], fault: one.column }))
    test.each(named)('$at, $fault: code $code, $state', async ({ one, state, code, warned = false, says = [] }) => {
      if (!Object.hasOwn(states, state)) throw new Error(`${state} is no state of this table`)
      const ending = await running.get(one)
      if (!ending) throw new Error('was not performed')
      expect({ code: ending.code, warned: ending.warned, violations: ending.violations, text: ending.text }).toEqual({
        code,
        warned,
        violations: [],
        text: expect.any(String), // shown where the code is another
      })
      for (const word of says) expect(ending.text).toContain(word)
      expect(ending.state).toBe(await textOf(state))
    })
  }
  // Not describe.each, which cuts titles short.
  for (const table of all) describe(table.title, testsOf(table))

  // The tables show what the tests above hold the plugin to.
  test('README.md shows these tables', () => {
    const shown = all.filter(({ silent }) => !silent).map((table) => markdown(table, cases.get(table) ?? []))
    const between = new RegExp(`(?<=<!-- ${block}:begin -->\\n).*(?=<!-- ${block}:end -->)`, 's')
    const text = shown.join('\n')
    if (process.env.UPDATE_DOCS) {
      writeFileSync(
        README,
        readFileSync(README, 'utf8').replace(between, () => text),
      )
    }
    const current = between.exec(readFileSync(README, 'utf8'))?.[0]
    expect(current, `to write them, run UPDATE_DOCS=1 npm test -- faults/${block}`).toBe(text)
  })
}

function perform<C extends Cell>({ scenario, act, start = [] }: Table<C>, cell: C): Promise<Ending> {
  return inPod(scenario, start, async (netns) => {
    const ending = await act(netns, cell)
    await cell.afterwards?.(netns, ending)
    return ending
  })
}

function markdown<C extends Cell>({ title, rows, columns }: Table<C>, cases: readonly Case<C>[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const entry = (column: string, row: number) => {
    const one = cases.find((candidate) => candidate.column === column && candidate.row === row)
    if (!one) return ''
    const { code, state, warned } = one.cell
    const told = warned ? '0, warns' : typeof code === 'string' && code.startsWith('SIG') ? '' : `${code}`
    return told === '' ? state : `${told}: ${state}`
  }
  return [
    `#### ${title}`,
    '',
    line(['', ...columns]),
    line(['---', ...columns.map(() => '---')]),
    ...rows.map((text, row) => line([text, ...columns.map((column) => entry(column, row))])),
    '',
  ].join('\n')
}
