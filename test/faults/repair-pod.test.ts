/** What befalls a pod while it is repaired, and what others do to its routes meanwhile. */
import { type Drift, endOf, ONE, startOf } from './drifts.ts'
import { withPauses } from './pace.ts'
import { AGAIN, BETWEEN, CHANGE, LAST, momentsOf, type RepairMoment } from './repair-moments.ts'
import { type RepairCell, repairOf } from './repairing.ts'
import { CALICO, OVN } from './scenarios.ts'
import { carryOut, EVENTS } from './stand-in.ts'
import { type Table, tables } from './tables.ts'

const { 'the namespace has no path any more': _, ...OF_NIC } = EVENTS

/** What others do, in lines for ip(8). */
const BY_OTHERS = {
  'somebody adds what is missing': [`route replace 10.50.0.0/16 ${CALICO[4]} proto 142`],
  'somebody removes a default route': [
    'route replace default dev eth0 metric 0',
    'route del default dev eth0 metric 0',
  ],
  'somebody removes one of our routes': ['route del fd00:10:50::/64'],
  'somebody takes the place of one': [`route replace 10.50.0.0/16 ${OVN[4]}`],
  'somebody adds a default route of another NIC': [`route add default ${OVN[4]} metric 5`],
} as const

/** What becomes of its path, for the repair alone. */
const OF_PATH = {
  'its namespace is gone': () => 'mount -t tmpfs none /run/netns',
  'its path is unmounted': (path: string) => `umount -l ${path}`,
  'its path leads to another namespace': (path: string) =>
    `umount -l ${path}; unshare --net mount --bind /proc/self/ns/net ${path}`,
} as const

const FAULTS = { ...OF_NIC, ...BY_OTHERS, ...OF_PATH }
type Fault = keyof typeof FAULTS

type Outcome = Pick<RepairCell, 'code' | 'state' | 'says'>

/** A state, and what has been done since then. */
const by = (fault: string, state: string) => `${state} (${fault})`

/** When this comes, the changes have been verified. Where packets go is looked up all the same. */
const isVerified = ({ at, kind, text }: RepairMoment) =>
  at.conversation === LAST || kind === 'end' || text.includes('rule show, again')

function ofNic(fault: keyof typeof OF_NIC, moment: RepairMoment, changes: readonly string[]): Outcome {
  const state = by(fault, 'as it was')
  // The kernel refuses a route by a NIC that is down; anything else is found out by looking again.
  const line = moment.kind === 'change' ? (changes[moment.done] ?? '') : ''
  const isSeen = moment.kind === 'question' && /rule show`$/.test(moment.text)
  if (fault === 'eth0 is set down' && (isSeen || /^route (?:add|replace)/.test(line)))
    return { code: '2 error', state, says: ['ip refused it: ', "the pod's routes are unchanged"] }
  if (isVerified(moment)) return { code: '1 differs', state, says: ['packets to 10.50.0.0/16 go nowhere'] }
  const says = [fault === 'eth0 is set down' ? 'interface eth0 is down' : 'the pod has no interface eth0']
  return { code: '1 differs', state, says }
}

function byOthers(fault: keyof typeof BY_OTHERS, moment: RepairMoment): Outcome {
  const repaired = { code: '0 repaired', state: 'as configured' }
  switch (fault) {
    case 'somebody adds what is missing':
    case 'somebody removes a default route':
      return repaired
    case 'somebody adds a default route of another NIC':
      return { ...repaired, state: by(fault, 'as configured') }
    case 'somebody removes one of our routes':
      if (!isVerified(moment)) return repaired
      return { code: '1 differs', state: by(fault, 'as configured'), says: ['packets to fd00:10:50::/64 go nowhere'] }
    case 'somebody takes the place of one':
      if (isVerified(moment)) return { ...repaired, state: by(fault, 'as configured') }
      return {
        code: '1 differs',
        state: by(fault, 'as it was'),
        says: ['the pod already has another route to 10.50.0.0/16'],
      }
    default:
      throw fault satisfies never
  }
}

/** What is open stays open. */
function ofPath(fault: keyof typeof OF_PATH, { at }: RepairMoment): Outcome {
  if (at.conversation >= AGAIN) return { code: '0 repaired', state: 'as configured' }
  const state = 'as it was'
  switch (fault) {
    case 'its namespace is gone':
      return { code: '0 gone', state }
    case 'its path is unmounted':
      return { code: '2 error', state, says: ['not a network namespace: /run/netns/'] }
    case 'its path leads to another namespace':
      return { code: '1 differs', state, says: ['the pod has no interface eth0'] }
    default:
      throw fault satisfies never
  }
}

function outcome(fault: Fault, moment: RepairMoment, changes: readonly string[]): Outcome | undefined {
  if (Object.hasOwn(OF_NIC, fault)) return ofNic(fault as keyof typeof OF_NIC, moment, changes)
  if (Object.hasOwn(BY_OTHERS, fault)) return byOthers(fault as keyof typeof BY_OTHERS, moment)
  return moment.done > 0 && moment.at.conversation === CHANGE
    ? undefined
    : ofPath(fault as keyof typeof OF_PATH, moment)
}

function befallen(drift: Drift): Table<RepairCell> {
  const { scenario, change, title } = drift
  const moments = [BETWEEN, ...momentsOf(change).filter(({ at }) => at.conversation >= AGAIN)]
  const states: Record<string, readonly string[]> = { 'as it was': startOf(drift), 'as configured': endOf(drift) }
  for (const [fault, lines] of Object.entries({ ...OF_NIC, ...BY_OTHERS })) {
    states[by(fault, 'as it was')] = [...startOf(drift), ...lines]
    states[by(fault, 'as configured')] = [...endOf(drift), ...lines]
  }
  return {
    title: `repair: ${title}`,
    scenario,
    act: repairOf(drift),
    pace: withPauses,
    start: startOf(drift),
    states,
    rows: moments.map(({ text }) => text),
    columns: Object.keys(FAULTS),
    cell: (column, row) => {
      const [fault, moment] = [column as Fault, moments[row]]
      const expected = moment && outcome(fault, moment, change)
      const does = FAULTS[fault]
      const action = typeof does === 'function' ? does : carryOut(does)
      return expected && { ...expected, injections: [{ ...moment.at, action }] }
    },
  }
}

tables('repair-pod', [befallen(ONE)])
