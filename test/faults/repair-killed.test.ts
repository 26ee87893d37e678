/** The processes of a repair are killed: the one that works on a pod, the one that is asked to repair, and ip(8). */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Drift, endOf, ONE, startOf } from './drifts.ts'
import { between, partly } from './moments.ts'
import { withPauses } from './pace.ts'
import { AGAIN, LAST, momentsOf, type RepairMoment } from './repair-moments.ts'
import { callOn, mends, type Patient, type RepairCell, repairOf } from './repairing.ts'
import { type Table, tables } from './tables.ts'

/** Whoever started the process at work. */
const OTHER = 'read -r _ _ _ other _ </proc/$PPID/stat;'
/** The signal comes at once; what it ends takes its time. */
const SETTLE = 'sleep 0.3'

const ENDS = {
  'the process at work gets SIGKILL': `kill -9 $PPID; ${SETTLE}`,
  'the process at work gets SIGTERM': `kill -TERM $PPID; ${SETTLE}`,
  'repair gets SIGKILL': `${OTHER} kill -9 $other; ${SETTLE}`,
  'repair gets SIGTERM': `${OTHER} kill -TERM $other; ${SETTLE}`,
  'all and ip get SIGKILL': `${OTHER} kill -9 $other $PPID $$`,
  'all and ip get SIGTERM': `${OTHER} kill -TERM $other $PPID; sleep 0.2; kill -TERM $$`,
} as const
type End = keyof typeof ENDS

const HALF = ["the pod's routes may be changed in part, and the next repair goes on from there"]

/** Nobody takes down the sign of a repair that was killed. */
const SIGN_MS = 20_000

async function isAddedTo(patient: Patient): Promise<void> {
  const { exitCode, stderr, ms } = await callOn('ADD', patient)
  expect({ exitCode, stderr, isLate: ms > SIGN_MS + 3000 }).toEqual({ exitCode: 0, stderr: '', isLate: false })
  expect(ms).toBeGreaterThan(SIGN_MS - 5000) // it did wait
  await mends(patient)
}

async function mendsLater(patient: Patient): Promise<void> {
  await sleep(SIGN_MS)
  await mends(patient)
}

/** What comes next, after two of the states: a call waits for as long as the sign is believed, and so does a repair. */
const AFTERWARDS: Readonly<Record<string, Pick<RepairCell, 'lastly' | 'waits'>>> = {
  [partly(3, ONE.change.length)]: { waits: true, lastly: isAddedTo },
  [partly(4, ONE.change.length)]: { waits: true, lastly: mendsLater },
}

function outcome(end: End, { at: { conversation }, done }: RepairMoment, all: number): Omit<RepairCell, 'injections'> {
  const partial = done === 0 ? 'as it was' : done === all ? 'as configured' : partly(done, all)
  const whole = conversation < AGAIN ? 'as it was' : 'as configured'
  const stays = conversation < AGAIN ? {} : { leaves: ['repair'] as const }
  switch (end) {
    case 'the process at work gets SIGKILL':
      // A look is asked for once more.
      if (conversation < AGAIN) return { code: '0 repaired', state: 'as configured' }
      return { code: '2 error', state: partial, says: HALF, lastly: mends }
    case 'the process at work gets SIGTERM':
      return { code: '0 repaired', state: 'as configured' }
    case 'repair gets SIGKILL':
      return { code: 'SIGKILL', state: whole }
    case 'repair gets SIGTERM':
      return { code: conversation < AGAIN ? '2 differs' : '2 repaired', state: whole, stopped: true }
    case 'all and ip get SIGKILL':
      return { code: 'SIGKILL', state: partial, ...stays, ...AFTERWARDS[partial] }
    case 'all and ip get SIGTERM':
      return {
        stopped: true,
        code: conversation === LAST ? '2 differs' : '2 error',
        state: conversation === LAST ? 'as configured' : 'as it was',
      }
    default:
      throw end satisfies never
  }
}

function killed(drift: Drift): Table<RepairCell> {
  const { scenario, change, title } = drift
  const moments = momentsOf(change)
  return {
    title: `repair: ${title}`,
    scenario,
    act: repairOf(drift),
    pace: withPauses,
    start: startOf(drift),
    states: { 'as it was': startOf(drift), ...between(startOf(drift), change), 'as configured': endOf(drift) },
    rows: moments.map(({ text }) => text),
    columns: Object.keys(ENDS),
    cell: (column, row) => {
      const [end, moment] = [column as End, moments[row]]
      return moment && { ...outcome(end, moment, change.length), injections: [{ ...moment.at, action: ENDS[end] }] }
    },
  }
}
tables('repair-killed', [killed(ONE)])
