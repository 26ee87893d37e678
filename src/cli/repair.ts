import { setTimeout as sleep } from 'node:timers/promises'
import { chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { readCachesBy } from './look-at-node.ts'
import { startLookers } from './lookers.ts'
import { cachesOf, NODE } from './node-options.ts'
import { progressOn, type Shown } from './node-text.ts'
import { jsonText, OUTPUT } from './output.ts'
import { BY_NAME, podsNamed, refuseBesidePod } from './pod-name.ts'
import { type Repair, repairPods } from './repair-node.ts'
import { type One, repairOne } from './repair-one.ts'
import { SETTLED_MS } from './repair-pod.ts'
import { isFine, oneJson, oneText, type Repaired, repairsJson, repairsText } from './repair-text.ts'
import { type Cache, type Pod, podsOf } from './result-cache.ts'
import { untilSignal } from './stay.ts'
import { makeTurns } from './turns.ts'
import { define } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'

/** How often a pod is tried on which somebody else works. */
const TRIES = 3

const DEFINITION = {
  name: 'repair',
  summary: 'make the routes of pods what their configuration says',
  usage: [
    '[--pod NAMESPACE/NAME] [--cache DIR]… [--root DIR] [--dry-run] [--quiet] [-o json]',
    '--netns PATH --ifname IF [--name NETWORK] [--dry-run] [-o json] FILE',
  ],
  about: [
    "Make right again what `verify` finds. Without FILE: in every pod of this node with an attachment whose chain has x-calico-route, according to libcni's result cache; with --pod, only in that one. What is missing comes, routes of x-calico-route that no attachment of the pod asks for any more go, and default routes become what the configuration says: all of it in one step, rolled back if it fails. What others added stays. With FILE (see `validate --help`) it takes the configuration of one NIC from there; the other attachments of the pod count as well, if the cache has them. It needs CAP_SYS_ADMIN, to enter namespaces, and CAP_NET_ADMIN.",
    [
      ['ok', 'Nothing differed.'],
      ['repaired', 'Something differed, and does not any more.'],
      [
        'differs',
        'Something differs, but nothing was done: because of --dry-run, or for the reason that is listed first, such as a NIC that is missing, or two attachments that contradict each other.',
      ],
      ['busy', `The runtime works on the pod, or another repair; tried ${TRIES} times. Run it again.`],
      ['gone', "The pod's network namespace is gone; only its cache entry is left."],
      ['unknown', 'The cache does not have the network namespace (libcni before 1.2).'],
      [
        'error',
        'The pod could not be looked at or repaired with 19 s and 120 MiB of memory, or not at all. The message says what became of its routes.',
      ],
    ],
    'It may run at any time: a pod is changed only if two looks, 2 s apart, find the same, and while no call of the runtime works on it; a call that comes meanwhile waits for some milliseconds. Only network namespaces in /run/netns are entered, never that of the node.',
  ],
  argument: { name: 'FILE', count: 'at most one', completes: 'file' },
  options: {
    ...BY_NAME,
    ...NODE,
    'dry-run': { about: 'Change nothing. Show each route that would come or go, and the key behind it.' },
    ...POD,
    output: OUTPUT,
  },
  exit: [
    ['0', 'Nothing differs any more.'],
    ['1', 'A pod differs, or is busy; or a cache entry cannot be read.'],
    ['2', 'An argument is wrong, a pod cannot be looked at or repaired, or the repair was stopped.'],
  ],
  examples: [
    'x-calico-route repair --dry-run',
    'x-calico-route repair --pod default/web-0',
    'x-calico-route repair --netns /var/run/netns/pod --ifname eth0 network.yaml',
  ],
} as const satisfies Definition

export const repair = define(DEFINITION, async ({ options, words: [file] }, terminal) => {
  const { pod, netns, ifname, name, root, quiet, 'dry-run': dryRun } = options
  const shown = { json: options.output === 'json', quiet }
  const how = { root, dryRun, signal: untilSignal() }
  refuseBesidePod(pod, { FILE: file, '--netns': netns, '--ifname': ifname, '--name': name })
  if (file === undefined) {
    if (netns !== undefined || ifname !== undefined || name !== undefined)
      throw new Trouble(
        'FILE is missing: --netns, --ifname and --name need the configuration of that pod; give it, or --pod alone',
      )
    const caches = cachesOf(options)
    const repaired = await repairNode({ caches, named: pod }, how, terminal)
    const text = () => repairsText(repaired, caches, shown.quiet, terminal.colors)
    terminal.out(shown.json ? jsonText(repairsJson(repaired)) : text())
    return exitOf(repaired.repairs, how) || (repaired.unreadable.length > 0 ? Exit.problems : Exit.ok)
  }
  if (netns === undefined || ifname === undefined)
    throw new Trouble('FILE: needs --netns and --ifname, which say what to repair')
  return repairNic({ conf: chooseEntry(file, name, terminal).conf, netns, ifname, root }, how, shown, terminal)
})

interface How {
  readonly root: string
  readonly dryRun: boolean
  readonly signal: AbortSignal
}

interface Meant {
  readonly caches: readonly string[]
  /** If only one pod is meant. */
  readonly named: string | undefined
}

async function repairNode({ caches, named }: Meant, how: How, terminal: Terminal): Promise<Repaired> {
  needTurns(how)
  using lookers = startLookers()
  const progress = progressOn(terminal)
  const repairs = new Map<string, Repair>()
  const busy = () => [...repairs.values()].filter(({ state }) => state === 'busy')
  for (let tries = 1; ; tries++) {
    const cache = await readCachesBy(lookers, caches, progress)
    const isLeft = ({ container }: Pod) => repairs.get(container)?.state === 'busy'
    const pods = tries === 1 ? podsNamed(cache, named) : podsOf(cache).filter(isLeft)
    const broken = new Set(cache.unreadable.map(({ file }) => file))
    // If the caches do not have it any more, it was on its way out.
    const isOut = ({ pod }: Repair) => !pod.attachments.some(({ file }) => broken.has(file))
    for (const { pod, ...rest } of busy().filter(isOut))
      repairs.set(pod.container, { ...rest, pod, state: 'gone', said: [], more: 0 })
    for (const one of await repairPods(pods, lookers, how, progress(pods.length, 'pod')))
      repairs.set(one.pod.container, one)
    if (tries === TRIES || how.signal.aborted || busy().length === 0)
      return {
        repairs: [...repairs.values()],
        unreadable: named === undefined ? cache.unreadable : unreadableOf(repairs, cache),
        dryRun: how.dryRun,
      }
    await settle(how)
  }
}

function unreadableOf(repairs: ReadonlyMap<string, Repair>, cache: Cache): Cache['unreadable'] {
  const pods = podsOf(cache).filter(({ container }) => repairs.has(container))
  return pods.flatMap(({ unreadable }) => unreadable)
}

async function repairNic(one: One, how: How, { json, quiet }: Shown, terminal: Terminal): Promise<number> {
  needTurns(how)
  try {
    for (let tries = 1; ; tries++) {
      const repaired = await repairOne(one, how.dryRun, how.signal)
      if (repaired.state === 'busy' && tries < TRIES && !how.signal.aborted) {
        await settle(how)
        continue
      }
      if (json) terminal.out(jsonText(oneJson(one, repaired)))
      else if (!quiet || !isFine(repaired)) terminal.out(oneText(one, repaired, terminal.colors))
      return exitOf([repaired], how)
    }
  } catch (error) {
    throw inWordsOfOptions(error)
  }
}

/** @throws Trouble if no call could be kept out of a pod */
function needTurns({ root, dryRun }: How): void {
  const wrong = dryRun ? undefined : makeTurns(root)
  if (wrong !== undefined) throw new Trouble(wrong)
}

function settle({ signal }: How): Promise<void> {
  return sleep(SETTLED_MS, undefined, { signal }).catch(() => {})
}

function exitOf(repairs: readonly Pick<Repair, 'state'>[], { signal }: How): number {
  if (signal.aborted || repairs.some(({ state }) => state === 'error')) return Exit.trouble
  return repairs.every(isFine) ? Exit.ok : Exit.problems
}
