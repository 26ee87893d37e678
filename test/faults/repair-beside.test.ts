/** What befalls what a repair needs beside the pod: the cache entries, the signs of calls and repairs, the route set. */
import { clock } from '../../src/kernel/clock.ts'
import { type Drift, endOf, entryOf, ONE, startOf } from './drifts.ts'
import { withPauses } from './pace.ts'
import { AGAIN, BETWEEN, CHANGE, LAST, LOOK } from './repair-moments.ts'
import { CONTAINER, type RepairCell, repairOf } from './repairing.ts'
import { CALICO } from './scenarios.ts'
import type { Moment } from './stand-in.ts'
import { type Table, tables } from './tables.ts'

const MOMENTS: Readonly<Record<string, Moment>> = {
  'in the first look': { conversation: LOOK, line: 1 },
  'between the looks': BETWEEN.at,
  'in the second look': { conversation: AGAIN, line: 1 },
  'before the changes': { conversation: CHANGE, line: 1 },
  'in the changes': { conversation: CHANGE, line: 5 },
  'in the last look': { conversation: LAST, line: 1 },
}

type Outcome = Pick<RepairCell, 'code' | 'state' | 'leaves' | 'says' | 'lastly'>
const REPAIRED: Outcome = { code: '0 repaired', state: 'as configured' }

interface Trouble {
  readonly action: string
  /** What comes of it at each of the moments, in which it makes the first differences. */
  readonly outcomes: readonly [Outcome, Outcome, Outcome, Outcome, Outcome, Outcome]
}

/** From the look on in which it was read, nothing counts any more. */
function untilRead(
  outcome: Outcome,
  last: 'between the looks' | 'before the changes',
  later = REPAIRED,
): Trouble['outcomes'] {
  const second = last === 'before the changes' ? outcome : later
  return [outcome, outcome, second, second, later, later]
}
const untilChanged = (action: string, outcome: Outcome, later?: Outcome): Trouble => ({
  action,
  outcomes: untilRead(outcome, 'before the changes', later),
})

const LEFT = 'as it was'
const GONE: Outcome = { code: '0 gone', state: LEFT }
const CHANGING: Outcome = { code: '1 busy', state: LEFT }
const NOBODY_OUT: Outcome = {
  code: '2 error',
  state: LEFT,
  says: ['/run/x-calico-route/turns: cannot be made or written, and without it no call of the runtime can be kept out'],
}

/** Files for the injections. */
const given = (path: string) => {
  const one = { ifName: 'eth0', config: { routes: [{ dst: '10.99.0.0/16', scope: 'link' }] } }
  return {
    container: entryOf('5e7', path, {}, one),
    netns: entryOf(CONTAINER, '/run/netns/nowhere', {}, one),
    config: entryOf(CONTAINER, path, {}, one),
    now: `${Math.floor(clock())}\n`,
    net1: entryOf(CONTAINER, path, {}, { ...one, ifName: 'net1' }),
  }
}
const OF_NET1 = `$CACHE/of-net1-${CONTAINER}-net1`

const TROUBLES: Readonly<Record<string, Trouble>> = {
  'the cache entry vanishes': untilChanged('rm $ENTRY', GONE),
  'the cache entry is half written': untilChanged(
    'head -c 300 $ENTRY >$DIRECTORY/half; cat $DIRECTORY/half >$ENTRY',
    CHANGING,
  ),
  'the cache entry is empty': untilChanged(': >$ENTRY', CHANGING),
  'the cache entry is written anew': untilChanged('cp $ENTRY $DIRECTORY/new; mv $DIRECTORY/new $ENTRY', REPAIRED),
  "the cache entry becomes another container's": untilChanged('cp $GIVEN/container $ENTRY', GONE),
  'the cache entry names another namespace': untilChanged('cp $GIVEN/netns $ENTRY', GONE),
  'the cache entry asks for another route': untilChanged('cp $GIVEN/config $ENTRY', {
    code: '0 repaired',
    state: 'as the other configuration says',
  }),
  'an entry of another NIC is half written': untilChanged(`head -c 99 $GIVEN/net1 >${OF_NET1}`, {
    code: '2 error',
    state: LEFT,
    says: [`of-net1-${CONTAINER}-net1: cannot be read: not JSON: `, '; so nobody knows all that the pod asks for'],
  }),
  'an entry of another NIC is written': untilChanged(`cp $GIVEN/net1 ${OF_NET1}`, {
    code: '0 repaired',
    state: 'with the other NIC',
  }),
  'the cache vanishes': untilChanged('rm -r $CACHE', GONE),
  'the cache becomes a file': untilChanged('rm -r $CACHE; echo >$CACHE', {
    code: '2 error',
    state: LEFT,
    says: ['/cache: no such file: a part of the path is not a directory'],
  }),
  'a call puts up its sign': {
    action: `read -r now <$GIVEN/now; ln -s call $TURNS/call.${CONTAINER}.1.$now`,
    // By then it sees the sign of the repair.
    outcomes: untilRead(
      {
        code: '1 busy',
        state: LEFT,
        leaves: ['call'],
        says: ['a call of the runtime or another repair works on the pod'],
      },
      'between the looks',
      { ...REPAIRED, leaves: ['call'] },
    ),
  },
  'another repair takes its turn': untilChanged(
    `read -r now <$GIVEN/now; ln -sfn f00.$now $TURNS/repair.${CONTAINER}`,
    { code: '1 busy', state: LEFT, leaves: ['repair'] },
    { ...REPAIRED, leaves: ['repair'] },
  ),
  'the directory of the signs vanishes': untilChanged('rm -r $TURNS', REPAIRED),
  'the directory of the signs becomes a file': untilChanged('rm -r $TURNS; echo >$TURNS', NOBODY_OUT),
  'the directory of the signs becomes read-only': {
    action: 'mount --bind $TURNS $TURNS; mount -o remount,ro,bind $TURNS',
    outcomes: untilRead(NOBODY_OUT, 'between the looks', { ...REPAIRED, leaves: ['repair'] }),
  },
  'the directory of the signs is full': untilChanged(
    'rm -f $TURNS/*; mount -t tmpfs -o nr_inodes=1 none $TURNS',
    NOBODY_OUT,
  ),
  'the route set vanishes': {
    action: 'rm $SET',
    outcomes: untilRead(
      { code: '2 error', state: LEFT, says: ['/sets/underlay: does not exist yet; '] },
      'between the looks',
    ),
  },
  'the route set is half written': {
    action: 'echo 10.50.0.0/1 >$SET; echo 10.51. >>$SET',
    outcomes: untilRead({ code: '2 error', state: LEFT, says: ['/sets/underlay:1: '] }, 'between the looks'),
  },
  'the route set is empty': {
    action: ': >$SET',
    outcomes: untilRead({ code: '0 repaired', state: 'without the set' }, 'between the looks'),
  },
  'the route set has another prefix': {
    action: 'echo 10.51.0.0/16 >$SET',
    outcomes: untilRead({ code: '0 repaired', state: 'with the other prefix' }, 'between the looks'),
  },
  'the route set becomes a directory': {
    action: 'rm $SET; mkdir $SET',
    outcomes: untilRead(
      { code: '2 error', state: LEFT, says: ['/sets/underlay: is not a regular file'] },
      'between the looks',
    ),
  },
}

/** Of the set, in a pod that is as configured. */
const NO_SET = [`route del 10.50.0.0/16 ${CALICO[4]}`, `route del fd00:10:50::/64 ${CALICO[6]}`]
const NO_OTHER = `route del 10.60.0.0/16 ${CALICO[4]} table 100`

function beside(drift: Drift): Table<RepairCell> {
  const end = endOf(drift)
  return {
    title: `repair: ${drift.title}`,
    scenario: drift.scenario,
    act: repairOf(drift),
    pace: withPauses,
    start: startOf(drift),
    states: {
      [LEFT]: startOf(drift),
      'as configured': end,
      'as the other configuration says': [...end, ...NO_SET, NO_OTHER, 'route add 10.99.0.0/16 dev eth0 proto 142'],
      'with the other NIC': [...end, 'route add 10.99.0.0/16 dev net1 proto 142'],
      'without the set': [...end, ...NO_SET],
      'with the other prefix': [...end, ...NO_SET, `route add 10.51.0.0/16 ${CALICO[4]} proto 142`],
    },
    rows: Object.keys(TROUBLES),
    columns: Object.keys(MOMENTS),
    cell: (column, row) => {
      const { action = '', outcomes } = Object.values(TROUBLES)[row] ?? {}
      const [moment, outcome] = [MOMENTS[column], outcomes?.[Object.keys(MOMENTS).indexOf(column)]]
      return moment && outcome && { ...outcome, given, injections: [{ ...moment, action }] }
    },
  }
}

tables('repair-beside', [beside(ONE)])
