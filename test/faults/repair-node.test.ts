/** What is wrong with the node, or with how repair is started, from the start and for good. */

import { hostWhereIpIs, hostWithOnly } from '../support/tools.ts'
import { type Drift, endOf, ONE, startOf } from './drifts.ts'
import { between, partly } from './moments.ts'
import { withPauses } from './pace.ts'
import { CHANGE, LAST } from './repair-moments.ts'
import { mends, type RepairCell, repairOf } from './repairing.ts'
import { CHILD } from './stand-in.ts'
import { type Table, tables } from './tables.ts'

// A stdin that is a socket makes bash read a file of the user's.
const shell = (text: string) => ['bash', '--norc', '-ec', `${text}; exec "$@"`, 'bash']
const without = (capability: string) => ['setpriv', `--bounding-set=-${capability}`, '--inh-caps=-all']

const FAILS = { code: '2 error', state: 'as it was' } as const
const SUCCEEDS = { code: '0 repaired', state: 'as configured' } as const
const CHANGES = ['add', 'append', 'del', 'replace'].map((word) => `route ${word}`)

const TROUBLES: Readonly<Record<string, RepairCell>> = {
  'nsenter is missing': { ...FAILS, host: () => hostWithOnly('ip', 'prlimit') },
  'ip is missing': { ...FAILS, host: () => hostWithOnly('nsenter', 'prlimit') },
  'prlimit is missing': { ...SUCCEEDS, host: () => hostWithOnly('nsenter', 'ip') },
  'ip is too old for JSON': {
    ...FAILS,
    host: () => hostWhereIpIs(`echo 'Option "-json" is unknown, try "ip -help".' >&2; exit 255`),
  },
  'ip refuses to change anything': {
    ...FAILS,
    says: ["the pod's routes are unchanged"],
    injections: CHANGES.map((every) => ({ every, action: CHILD.fails })),
  },
  'ip takes 3.5 s for each change': {
    ...FAILS,
    says: ["not done within the call's time limit", "the pod's routes are unchanged"],
    waits: true,
    injections: CHANGES.map((every) => ({ every, action: 'sleep 3.5' })),
  },
  'ip hangs at the third change, and in the rollback': {
    code: '2 error',
    state: partly(2, ONE.change.length),
    says: ["not done within the call's time limit", 'rollback failed too: ', 'perhaps done: '],
    waits: true,
    lastly: mends,
    injections: [
      { conversation: CHANGE, line: 6, action: CHILD.hangs },
      { conversation: LAST, line: 1, action: CHILD.hangs },
    ],
  },
  'no CAP_NET_ADMIN': { ...FAILS, via: without('net_admin') },
  'no CAP_SYS_ADMIN': { ...FAILS, via: without('sys_admin') },
  'ip gets no memory': { ...FAILS, host: () => hostWhereIpIs('ulimit -v 1000; exec "$REAL_IP" "$@"') },
  'stdin is closed': { ...SUCCEEDS, via: shell('exec <&-') },
  'stdout is full': { ...SUCCEEDS, code: 'exit 2', via: shell('exec >/dev/full') },
  'stdout has no reader': { ...SUCCEEDS, code: 'exit 2', mute: true, via: shell('exec > >(:); wait $!') },
  // Node.js opens /dev/null in its place.
  'stdout is closed': { ...SUCCEEDS, code: 'exit 0', mute: true, via: shell('exec >&-') },
  'stderr is full': { ...SUCCEEDS, via: shell('exec 2>/dev/full') },
  'stderr is closed': { ...SUCCEEDS, via: shell('exec 2>&-') },
  '/run is read-only': {
    ...FAILS,
    code: 'exit 2',
    says: ['/run/x-calico-route/turns: cannot be made or written, and without it no call'],
    via: shell('mount -o remount,ro,bind /run/x-calico-route'),
  },
}

function troubled(drift: Drift): Table<RepairCell> {
  return {
    title: `repair: ${drift.title}`,
    scenario: drift.scenario,
    act: repairOf(drift),
    pace: withPauses,
    start: startOf(drift),
    states: {
      'as it was': startOf(drift),
      ...between(startOf(drift), drift.change),
      'as configured': endOf(drift),
    },
    rows: Object.keys(TROUBLES),
    columns: ['repair'],
    cell: (_, row) => Object.values(TROUBLES)[row],
  }
}

tables('repair-node', [troubled(ONE)])
