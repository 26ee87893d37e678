/** What ip(8) does wrong, once, while it works for a repair. */
import { type Drift, endOf, ONE, startOf, TWO } from './drifts.ts'
import { between, Moments, partly } from './moments.ts'
import { withPauses } from './pace.ts'
import { CHANGE, LAST, momentsOf, type RepairMoment } from './repair-moments.ts'
import { mends, type RepairCell, repairOf } from './repairing.ts'
import { CHILD } from './stand-in.ts'
import { type Table, tables } from './tables.ts'

const FAULTS = {
  ...CHILD,
  'says that a list was interrupted': "echo 'Dump was interrupted and may be inconsistent.' >&2",
  'answers 3 s late': 'sleep 3',
} as const
type Fault = keyof typeof FAULTS

const CHANGED = ["the pod's routes are changed, but could not be looked at again: ip: "]

function outcome(fault: Fault, { at, kind }: RepairMoment): Omit<RepairCell, 'injections'> {
  const isHarmless = fault === 'says that a list was interrupted' || fault === 'answers 3 s late'
  // At the end everything is known: only how ip(8) ends still counts.
  const counts = kind !== 'end' || fault === 'fails' || fault === 'hangs' || fault === 'is killed'
  if (isHarmless || !counts) return { code: '0 repaired', state: 'as configured' }
  const waits = fault === 'hangs' || (fault === 'closes stdout' && kind === 'question')
  if (at.conversation === LAST) return { code: '1 differs', state: 'as configured', says: CHANGED, waits }
  return { code: '2 error', state: 'as it was', waits }
}

function child(drift: Drift, faults: readonly Fault[]): Table<RepairCell> {
  const moments = momentsOf(drift.change)
  return {
    title: `repair: ${drift.title}`,
    scenario: drift.scenario,
    act: repairOf(drift),
    pace: withPauses,
    start: startOf(drift),
    states: { 'as it was': startOf(drift), 'as configured': endOf(drift) },
    rows: moments.map(({ text }) => text),
    columns: faults,
    cell: (column, row) => {
      const [fault, moment] = [column as Fault, moments[row]]
      return moment && { ...outcome(fault, moment), injections: [{ ...moment.at, action: FAULTS[fault] }] }
    },
  }
}

/** ip(8) is killed at the last change, and goes wrong again in the rollback: once, which is made good, or twice. */
function rollback({ scenario, change, undo = [], ...drift }: Drift): Table<RepairCell> {
  const all = { scenario, change, undo, ...drift }
  const start = [...startOf(all), ...change.slice(0, -1)]
  const moments = new Moments('ADD', undo, { rules: 'IPv4' })
  const stopped = { ...new Moments('ADD', change, { rules: 'IPv4' }).last(CHANGE), action: CHILD['is killed'] }
  const columns = {
    'is killed': [],
    'is killed, and again at once': [{ conversation: LAST + 1, line: 1, action: CHILD['is killed'] }],
  }
  const left = (done: number) => (done === 0 ? 'nothing undone' : partly(done, undo.length))
  return {
    title: `repair, in its rollback: ${drift.title}`,
    scenario,
    act: repairOf(all),
    pace: withPauses,
    start: startOf(all),
    states: { 'as it was': startOf(all), 'nothing undone': start, ...between(start, undo) },
    rows: moments.rows.slice(0, -1),
    columns: Object.keys(columns),
    cell: (column, row) => {
      const again = columns[column as keyof typeof columns]
      const isTwice = again.length > 0
      // Once all is undone, the second attempt finds nothing to do.
      if (isTwice && moments.kind(row) !== 'change') return undefined
      return {
        code: '2 error',
        state: isTwice ? left(moments.before(row)) : 'as it was',
        says: isTwice
          ? ['rollback failed too: ', `perhaps done: ${change.join(', ')}`]
          : ["the pod's routes are unchanged"],
        injections: [stopped, { ...moments.at(row, LAST), action: CHILD['is killed'] }, ...again],
        ...(isTwice ? { lastly: mends } : {}),
      }
    },
  }
}

tables('repair-child', [rollback(ONE), child(ONE, Object.keys(FAULTS) as Fault[]), child(TWO, ['fails', 'is killed'])])
