/** A runtime calls in mid-repair: the call succeeds, after the repair or instead of it, and the pod ends as it wants. */
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Drift, endOf, ONE, startOf } from './drifts.ts'
import { withPauses } from './pace.ts'
import { AGAIN, BETWEEN, CHANGE, LAST } from './repair-moments.ts'
import { callOn, HOLD, isCalled, type Patient, type RepairCell, repairOf } from './repairing.ts'
import { CALICO } from './scenarios.ts'
import type { Moment } from './stand-in.ts'
import { type Table, tables } from './tables.ts'

const MOMENTS: Readonly<Record<string, Moment>> = {
  'between the looks': BETWEEN.at,
  'in the second look': { conversation: AGAIN, line: 1 },
  'before the changes': { conversation: CHANGE, line: 1 },
  'in the changes': { conversation: CHANGE, line: 6 },
  'in the last look': { conversation: LAST, line: 1 },
}

type Called = 'ADD' | 'DEL'

/** The call is begun; once it waits, or has ended, the repair goes on. What libcni does comes after it. */
const called = (verb: Called) => async (patient: Patient) => {
  let isOver = false
  const work = async () => {
    const { exitCode, stderr, ms } = await callOn(verb, patient).finally(() => (isOver = true))
    expect({ exitCode, stderr, isLate: ms > 5000 }).toEqual({ exitCode: 0, stderr: '', isLate: false })
    if (verb === 'DEL') rmSync(`${patient.node}/cache`, { recursive: true })
  }
  const end = work()
  end.catch(() => {}) // is told when it is waited for
  while (!isCalled(patient) && !isOver) await sleep(5)
  return () => end
}

function interrupted(drift: Drift): Table<RepairCell> {
  const removed = [`route del 10.60.0.0/16 table 100`, `route del fd00:10:50::/64 ${CALICO[6]}`]
  return {
    title: `repair: ${drift.title}`,
    scenario: drift.scenario,
    act: repairOf(drift),
    pace: withPauses,
    start: startOf(drift),
    states: {
      'as configured': endOf(drift),
      'as it was, removed': [
        ...startOf(drift),
        ...removed,
        `route del 10.70.0.0/16 ${CALICO[4]}`,
        `route del fd00:10:70::/64 ${CALICO[6]}`,
      ],
      'as configured, removed': [...endOf(drift), ...removed, `route del 10.50.0.0/16 ${CALICO[4]}`],
    },
    rows: Object.keys(MOMENTS),
    columns: ['ADD', 'DEL'] satisfies Called[],
    cell: (column, row) => {
      const [verb, moment] = [column as Called, Object.values(MOMENTS)[row]]
      const isFirst = row === 0
      return (
        moment && {
          code: isFirst && verb === 'DEL' ? '0 gone' : '0 repaired',
          state: verb === 'ADD' ? 'as configured' : isFirst ? 'as it was, removed' : 'as configured, removed',
          meanwhile: called(verb),
          injections: [{ ...moment, action: HOLD }],
        }
      )
    },
  }
}

tables('repair-calls', [interrupted(ONE)])
