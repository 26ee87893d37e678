/** What is wrong with the node, or with how the runtime starts the plugin, from the start and for good. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execaSync } from 'execa'
import { afterAll, beforeAll } from 'vitest'
import type { Verb } from '../support/runtime.ts'
import { hostWhereIpIs, hostWithOnly } from '../support/tools.ts'
import type { Circumstances } from './call.ts'
import { SCENARIOS, type Scenario } from './scenarios.ts'
import { CHILD } from './stand-in.ts'
import { callOf, type Table, tables } from './tables.ts'

/** A directory on a disk that is full. */
const FULL = mkdtempSync(path.join(tmpdir(), 'xcr-full-'))
beforeAll(() => {
  execaSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', FULL])
  writeFileSync(`${FULL}/log`, 'x'.repeat(4096))
})
afterAll(() => {
  execaSync('umount', [FULL])
  rmSync(FULL, { recursive: true })
})

/** The directory of the sets of the node. */
const SETS = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
beforeAll(() => {
  mkdirSync(`${SETS}/directory`)
  writeFileSync(`${SETS}/secret`, '10.80.0.0/16\n', { mode: 0 })
  writeFileSync(`${SETS}/half`, '10.80.0.0/16\n10.90.')
  // Reading the memory at address 0 fails, and the kernel does not know how long a status will be.
  symlinkSync('/proc/self/mem', `${SETS}/broken`)
  symlinkSync('/proc/self/status', `${SETS}/changing`)
})
afterAll(() => rmSync(SETS, { recursive: true }))

const shell = (text: string) => ['bash', '-ec', `${text}; exec "$0"`]
const without = (capability: string) => ['setpriv', `--bounding-set=-${capability}`, '--inh-caps=-all']

/** ADD, CHECK, DEL: the code, and whether they changed what they were to change. DEL warns where it did not. */
type Ending = readonly [code: number | string, done: boolean]
interface Trouble extends Circumstances {
  readonly ADD: Ending
  readonly CHECK: Ending
  readonly DEL: Ending
  readonly config?: object
  /** A set that a further entry of `routes` names. */
  readonly set?: string
  /** Successes that tell of it. */
  readonly warns?: readonly Verb[]
}

const FAILS_ALWAYS = (code: number) => ({ ADD: [code, false], CHECK: [code, true], DEL: [0, false] }) as const
const NEVER_FAILS = { ADD: [0, true], CHECK: [0, true], DEL: [0, true] } as const
/** The verdict of a call whose stdout leads nowhere is its exit status. CHECK and DEL have nothing to print. */
const NOT_HEARD = { ADD: ['exit 1', true], CHECK: ['exit 0', true], DEL: ['exit 0', true], deaf: true } as const

/** Nothing was started yet. DEL goes by what is in the pod. */
const NO_SET = (code: number) => ({ ADD: [code, false], CHECK: [code, true], DEL: [0, true] }) as const

const TROUBLES: Record<string, Trouble> = {
  'nsenter is missing': { ...FAILS_ALWAYS(103), host: () => hostWithOnly('ip') },
  'ip is missing': { ...FAILS_ALWAYS(103), host: () => hostWithOnly('nsenter') },
  'ip is too old for JSON': {
    ...FAILS_ALWAYS(103),
    host: () => hostWhereIpIs(`echo 'Option "-json" is unknown, try "ip -help".' >&2; exit 255`),
  },
  'ip refuses to change anything': {
    ADD: [100, false],
    CHECK: [0, true],
    DEL: [0, false],
    injections: ['route add', 'route del', 'route replace', 'rule add', 'rule del'].map((every) => ({
      every,
      action: CHILD.fails,
    })),
  },
  'no CAP_NET_ADMIN': { ADD: [100, false], CHECK: [0, true], DEL: [0, false], via: without('net_admin') },
  'no CAP_SYS_ADMIN': { ...FAILS_ALWAYS(100), via: without('sys_admin') },
  'ip gets no memory': {
    ...FAILS_ALWAYS(100),
    host: () => hostWhereIpIs('ulimit -v 1000; exec "$REAL_IP" "$@"'),
  },
  'stdin is closed': { ADD: [6, false], CHECK: [6, true], DEL: [6, false], via: shell('exec <&-') },
  'stdin is cut short': { ADD: [6, false], CHECK: [6, true], DEL: [6, false], via: ['sh', '-c', 'head -c 99 | "$0"'] },
  'stdout is full': { ...NOT_HEARD, via: shell('exec >/dev/full') },
  'stdout has no reader': { ...NOT_HEARD, via: shell('exec > >(:); wait $!') },
  // Node.js opens /dev/null in its place.
  'stdout is closed': { ...NOT_HEARD, ADD: ['exit 0', true], via: shell('exec >&-') },
  'stderr is full': { ...NEVER_FAILS, via: shell('exec 2>/dev/full') },
  'stderr is closed': { ...NEVER_FAILS, via: shell('exec 2>&-') },
  'the disk of the log is full': {
    ...NEVER_FAILS,
    config: { logFile: `${FULL}/log` },
    warns: ['ADD', 'CHECK', 'DEL'],
  },
  'the log has no directory': {
    ...NEVER_FAILS,
    config: { logFile: '/nowhere/x-calico-route.log' },
    warns: ['ADD', 'CHECK', 'DEL'],
  },
  'the set does not exist': { ...NO_SET(11), set: 'missing' },
  'the set is a directory': { ...NO_SET(7), set: 'directory' },
  'the set ends within a line': { ...NO_SET(7), set: 'half' },
  'the set may not be read': { ...NO_SET(7), set: 'secret', via: without('dac_override,-dac_read_search') },
  'the set is on a broken disk': { ...NO_SET(7), set: 'broken' },
  'the set changes meanwhile': { ...NO_SET(11), set: 'changing' },
}

function troubled(scenario: Scenario, verb: 'ADD' | 'CHECK' | 'DEL'): Table {
  const start = verb === 'ADD' ? [] : scenario.add
  const done = { ADD: 'as configured', CHECK: 'as it was', DEL: 'removed' }[verb]
  const changes = { ADD: scenario.add, CHECK: [], DEL: scenario.del }[verb]
  return {
    title: `${verb}: ${scenario.title}`,
    scenario,
    act: callOf(scenario, verb),
    silent: scenario !== SCENARIOS[0], // they are all the same
    start,
    states: { 'as it was': start, [done]: [...start, ...changes] },
    rows: Object.keys(TROUBLES),
    columns: [verb],
    cell: (_, row) => {
      const trouble = Object.values(TROUBLES)[row]
      if (!trouble) return undefined
      const { [verb]: ending, warns = [], set } = trouble
      const [code, changed] = ending
      return {
        ...trouble,
        ...(set === undefined ? {} : { config: withSet(scenario, set) }),
        code,
        state: changed ? done : 'as it was',
        warned: warns.includes(verb) || (verb === 'DEL' && code === 0 && !changed),
      }
    },
  }
}

function withSet({ config: { routes } }: Scenario, set: string): object {
  return { setsDir: SETS, routes: [...(Array.isArray(routes) ? routes : []), { set }] }
}

tables(
  'node',
  SCENARIOS.flatMap((scenario) => (['ADD', 'DEL', 'CHECK'] as const).map((verb) => troubled(scenario, verb))),
)
