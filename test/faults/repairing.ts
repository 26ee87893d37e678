/** One repair of a pod while something goes wrong, and what there is when all is over. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { expect } from 'vitest'
import { scratch } from '../cli/tool.ts'
import { netnsPath } from '../support/netns.ts'
import { type Answer, environment, PLUGIN, run, type Verb } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import type { Circumstances, Ending } from './call.ts'
import { type Drift, endOf, entriesOf, SET } from './drifts.ts'
import { inPod, stateOf } from './pod.ts'
import { heardIn, livingIn, standIn } from './stand-in.ts'
import type { Cell } from './tables.ts'

/** A pod that is repaired, on a node of its own: what libcni has, and the signs of calls and repairs. */
export interface Patient {
  readonly drift: Drift
  readonly netns: string
  /** A directory with `cache`, `sets`, `run` (which is the node's /run/x-calico-route), and `given`. */
  readonly node: string
}

export interface Troubled extends Circumstances {
  /** Files in the directory that injections find as `$GIVEN`. @param path of the namespace */
  readonly given?: (path: string) => Record<string, string>
  /** What the test does at the moment of the injection HOLD; resolves to what ends it. */
  readonly meanwhile?: (patient: Patient) => Promise<() => Promise<void>>
  /** A signal tells the repair to stop. */
  readonly stopped?: boolean
  /** Nothing is said. */
  readonly mute?: boolean
  /** Signs that are left behind. */
  readonly leaves?: readonly ('call' | 'repair')[]
  /** What is done in the pod afterwards, and looked at. */
  readonly lastly?: (patient: Patient) => Promise<void>
  readonly config?: object
}

export type RepairCell = Omit<Cell, 'afterwards'> & Troubled

export const CONTAINER = 'c0ffee0123456789'

/** Shell: waits while the test does something. */
export const HOLD = 'touch $DIRECTORY/held; while [ -e $DIRECTORY/held ]; do sleep 0.01; done'

export const repairOf =
  (drift: Drift) =>
  (netns: string, cell: Troubled): Promise<Ending> =>
    repairing(drift, netns, cell)

/** What makes `run` of the node its /run/x-calico-route. */
const onNode = (node: string) => [
  ...['unshare', '--mount', 'sh', '-ec'],
  `mkdir -p /run/x-calico-route; mount --bind ${node}/run /run/x-calico-route; exec "$@"`,
  'sh',
]

async function repairing(drift: Drift, netns: string, cell: Troubled): Promise<Ending> {
  const {
    injections = [],
    host: makeHost,
    via = [],
    given = () => ({}),
    meanwhile,
    stopped = false,
    mute = false,
    leaves = [],
    lastly,
  } = cell
  const path = netnsPath(netns)
  using all = scratch()
  const node = all.directory
  const entries = await entriesOf(drift, CONTAINER, path, `${node}/sets`)
  fill(node, { run: {}, cache: entries, sets: { [SET.name]: SET.text }, given: given(path) })
  const patient: Patient = { drift, netns, node }
  const variables = `
    TURNS=/run/x-calico-route/turns CACHE=${node}/cache GIVEN=${node}/given
    ENTRY=$CACHE/${Object.keys(entries)[0]} SET=${node}/sets/${SET.name}
    echo $PPID >>$DIRECTORY/pids`
  using host = makeHost ? makeHost() : hostWhereIpIs(variables + standIn(path, injections))
  const child = starting([...onNode(node), ...host.via, ...via], patient)
  const end = meanwhile && (await whenHeld(child, host.directory, () => meanwhile(patient)))
  const { stdout, stderr, signal, exitCode } = await child
  await end?.()
  // What a repair has begun when it is killed goes on for as long as it takes.
  for (let tries = 0; tries < 2500 && livingIn(host.directory).length > 0; tries += 1) await sleep(10)
  const leaked = livingIn(host.directory).map((pid) => `process ${pid} is left running`)
  const { lines, missed } = heardIn(host.directory, injections)
  const signs = signsOf(patient)
  const strange = String(signs) === String(leaves) ? [] : [`signs: ${signs}`]
  const verdict =
    signal === undefined
      ? judge({ exitCode, stdout, stderr, stopped, mute })
      : { code: signal, text: '', violations: [] }
  const violations = [...verdict.violations, ...leaked, ...missed, ...strange]
  const ending = { ...verdict, warned: false, stdout, violations, state: await stateOf(netns), lines }
  await lastly?.(patient)
  return ending
}

/** Does something while the stand-in waits for it. */
async function whenHeld<T>(child: PromiseLike<unknown>, directory: string, act: () => Promise<T>): Promise<T> {
  const held = `${directory}/held`
  let isOver = false
  child.then(() => (isOver = true))
  while (!isOver && !existsSync(held)) await sleep(5)
  const result = await act()
  rmSync(held, { force: true })
  return result
}

/** Directories with files. */
function fill(node: string, directories: Readonly<Record<string, Readonly<Record<string, string>>>>): void {
  for (const [directory, files] of Object.entries(directories)) {
    mkdirSync(`${node}/${directory}`)
    for (const [name, text] of Object.entries(files)) writeFileSync(`${node}/${directory}/${name}`, text)
  }
}

function starting([command = '', ...args]: readonly string[], { node }: Patient) {
  return execa(command, [...args, PLUGIN, 'repair', '--cache', `${node}/cache`, '-o', 'json'], {
    env: { PATH: process.env.PATH },
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
  })
}

const signsOf = ({ node }: Patient): string[] =>
  statSync(`${node}/run/turns`, { throwIfNoEntry: false })?.isDirectory()
    ? readdirSync(`${node}/run/turns`).map((name) => name.replace(/\..*/, ''))
    : []

/** Whether a call has its sign up. */
export const isCalled = (patient: Patient): boolean => signsOf(patient).includes('call')

const STATUS: Readonly<Record<string, number>> = {
  ok: 0,
  repaired: 0,
  gone: 0,
  unknown: 0,
  differs: 1,
  busy: 1,
  error: 2,
}

interface Said {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
  readonly stopped: boolean
  readonly mute: boolean
}

/** Exit status and words must agree, and the words must be for people. */
function judge({
  exitCode: status,
  stdout,
  stderr,
  stopped,
  mute,
}: Said): Pick<Ending, 'code' | 'text' | 'violations'> {
  const violations: string[] = []
  if (/^\s+at /m.test(stdout + stderr)) violations.push(`a stack trace: ${stdout}${stderr}`)
  if (mute)
    return { code: `exit ${status}`, text: '', violations: stderr === '' ? violations : [...violations, stderr] }
  if (stdout === '') {
    if (status !== 2 || !/^x-calico-route repair: [^\n]+\n$/.test(stderr)) violations.push(`stderr: ${stderr}`)
    return { code: `exit ${status}`, text: stderr, violations }
  }
  if (stderr !== '') violations.push(`stderr: ${stderr}`)
  const { pods, unreadable } = JSON.parse(stdout)
  const [{ state, message = '', differences = [], changes = [] }] = pods
  const least = Math.max(STATUS[state] ?? 0, unreadable.length > 0 ? 1 : 0)
  if (status !== (stopped ? 2 : least)) violations.push(`exit status ${status}, and ${state}`)
  // The words of Node.js, without a subject.
  if (/^E[A-Z]+: /.test(message)) violations.push(`message: ${message}`)
  return { code: `${status} ${state}`, text: [message, ...differences, ...changes].join('; '), violations }
}

/** The next repair finds nothing in its way, and makes the pod right. */
export async function mends({ drift, netns, node }: Patient): Promise<void> {
  const { stdout, stderr, exitCode } = await starting(onNode(node), { drift, netns, node })
  expect({ stdout, stderr, exitCode }).toEqual({
    stdout: expect.stringMatching(/"state": "(?:repaired|ok)"/),
    stderr: '',
    exitCode: 0,
  })
  expect(signsOf({ drift, netns, node })).toEqual([])
  expect(await stateOf(netns)).toBe(await inPod(drift.scenario, endOf(drift), stateOf))
}

/** A call of the runtime. */
export async function callOn(verb: Verb, { drift, netns, node }: Patient): Promise<Answer & { readonly ms: number }> {
  const env = environment(verb, { netns, path: netnsPath(netns), ifname: 'eth0', families: [4, 6] })
  const started = performance.now()
  const answer = await run({ ...env, CNI_CONTAINERID: CONTAINER }, drift.scenario.config, onNode(node))
  return { ...answer, ms: performance.now() - started }
}
