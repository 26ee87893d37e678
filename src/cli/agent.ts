import { SETS_DIR } from '../config/schema.ts'
import { parsePrefix } from '../net/address.ts'
import { parseListenAddress } from './agent/address.ts'
import { PluginKeeper } from './agent/keep-plugin.ts'
import { PodKeeper } from './agent/keep-pods.ts'
import { type HowToCopy, SetKeeper } from './agent/keep-sets.ts'
import { Listener } from './agent/listener.ts'
import { type Log, logTo } from './agent/log.ts'
import { type AgentState, lacking, type Part } from './agent/state.ts'
import { Exit, Trouble } from './command.ts'
import { keepCached } from './install/cached.ts'
import { FOUND_DIRECTORY, PluginDirectory } from './install/find-directory.ts'
import { LAYOUT, layoutOf } from './install/install.ts'
import { fileTrouble, NAME } from './install/install-file.ts'
import { ownVersion, type Says } from './install/install-into.ts'
import { cachesOf } from './node-options.ts'
import { CACHES } from './result-cache.ts'
import { secondsOf, stay, untilSignal } from './stay.ts'
import { define } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'

const DEFINITION = {
  name: 'agent',
  summary: 'keep the plugin installed, its route sets up to date, and the pods of a node as configured',
  usage: [
    '[--to DIR] [--host-root DIR] [--at-once N | --no-gate] [--self-contained[=WHEN]] [--no-status] [--force] [--sets-from DIR] [--sets-to DIR] [--sets-within PREFIXES] [--allow-shrink] [--cache DIR]… [--interval SECONDS] [--repair] [--metrics [ADDRESS:]PORT]',
  ],
  about: [
    'Stay until SIGTERM or SIGINT, and do four things for a node, as conf-examples/daemonset has it done on every node:',
    [
      [
        'plugin',
        'Install it (see `install --help`), and again whenever it is gone or does not work. Another version that works is left alone. Its executable, and others in its directory, are kept in the page cache, on the account of this process.',
      ],
      [
        'sets',
        'Copy the route sets of --sets-from, such as a mounted ConfigMap, to the node, each in one step. A set that is wrong is not copied: the last good one stays. A set that is removed stays while an attachment of the node names it.',
      ],
      [
        'pods',
        'Look at every attachment of the node, as `verify` does, every --interval. When it has changed a set on the node, it repairs the pods that name it at once, as `repair` does, but only the routes that come of sets, and never a default route; with --repair, whatever differs. A pod that does not stay repaired is repaired less and less often, at last once an hour.',
      ],
      [
        'metrics',
        'Answer HTTP: `/metrics` for Prometheus, `/healthz`, and `/readyz`, which says 200 while the plugin answers on the node and every set that an attachment there names has a good version. What tenants do to the routes of their pods makes no difference to it. The process that answers has no privileges.',
      ],
    ],
    'It writes one line of JSON to stdout for each repair and each change of state. It needs what `verify` needs, and CAP_NET_ADMIN to repair, CAP_SETUID and CAP_SETGID for --metrics.',
  ],
  options: {
    to: {
      value: 'DIR',
      completes: 'directory',
      about: FOUND_DIRECTORY,
    },
    'host-root': {
      value: 'DIR',
      completes: 'directory',
      about:
        "In a container: where the node's root directory is mounted. --to, --sets-to, --cache and the network namespaces are looked for below it, and the plugin is called in it. Needs CAP_SYS_CHROOT.",
    },
    ...LAYOUT,
    force: { about: 'At the start, replace DIR/x-calico-route even if it is another program.' },
    'sets-from': {
      value: 'DIR',
      completes: 'directory',
      about:
        'Where the route sets come from: a file for each, named as the set. As this process sees it, not below --host-root. Without it, no set is copied.',
    },
    'sets-to': {
      value: 'DIR',
      completes: 'directory',
      default: SETS_DIR,
      about: 'Where the sets are on the node. Files there that the agent has not made are left alone.',
    },
    'sets-within': {
      value: 'PREFIXES',
      about:
        'Copy only sets whose prefixes all lie within these, separated by commas, such as 10.50.0.0/16,fd00:10:50::/48. Whoever writes the sets decides on routes in pods.',
    },
    'allow-shrink': {
      about: 'Copy a set also if it has become empty, or has lost more than half of the prefixes it had.',
    },
    cache: {
      value: 'DIR',
      completes: 'directory',
      repeats: true,
      about: `A result cache on the node; may be given several times. The default is ${CACHES.join(' and ')}.`,
    },
    interval: {
      value: 'SECONDS',
      default: '60',
      about: 'How often to look at all attachments, and to call the plugin, 0.1 to 86400 seconds.',
    },
    repair: {
      about: 'Repair every pod that differs, and in all that differs, not only what comes of a set that has changed.',
    },
    metrics: {
      value: '[ADDRESS:]PORT',
      about:
        'Where to answer HTTP; without ADDRESS on 127.0.0.1 alone. An IPv6 address stands in brackets, and any other may. Port 0 is any that is free, which the log tells. Where nobody can listen, because another process has the port, say, the log tells, and the agent works on and tries again every 10 seconds.',
    },
  },
  exit: [
    ['0', 'It was told to go.'],
    ['2', 'An argument is wrong, such as a --cache that does not exist. Nothing was changed.'],
  ],
  examples: [
    'x-calico-route agent --sets-from /sets --metrics 19142',
    'x-calico-route agent --sets-from /sets --sets-within 10.0.0.0/8 --repair',
  ],
} as const satisfies Definition

/** How often the plugin is looked at, and the port, and the sets, in seconds. A changed set must be in the pods within 10 s. */
const PLUGIN_EVERY = 10
const PORT_EVERY = 10
const SETS_EVERY = 1

export const agent = define(DEFINITION, async ({ options: given }, terminal) => {
  const signal = untilSignal()
  const interval = secondsOf('--interval', given.interval)
  const root = given['host-root'] ?? '/'
  const layout = { ...layoutOf(given), status: !given['no-status'], force: given.force }
  const rules = setRulesOf(given, interval * 1000)
  const address = given.metrics === undefined ? undefined : parseListenAddress('--metrics', given.metrics)
  const caches = cachesOf({ cache: given.cache, root }, '--host-root')

  const log = logTo(terminal.out)
  const directory = new PluginDirectory('--to', given.to, given['host-root'], (line) => log('info', line))
  const where = () => directory.writablePlace()
  const plugin = new PluginKeeper(where, { ...layout, signal, askEvery: interval * 1000 }, saidBy(log))
  const pods = new PodKeeper({ caches, root, repair: given.repair, interval: interval * 1000, signal }, log)
  const outside = { log, named: () => pods.named(), changed: (names: readonly string[]) => pods.setsChanged(names) }
  const sets = rules && new SetKeeper(rules, outside)
  const listener = address && new Listener(address, log)
  // So that the log begins with where it listens. If it does not, the next look says why.
  await listener?.look().catch(() => {})
  log('info', `${ownVersion()} agent started`)

  const troubles = { plugin: 0, sets: 0, pods: 0, metrics: 0 }
  const state = (): AgentState => ({
    version: ownVersion().slice(NAME.length + 1),
    plugin: plugin.state,
    ...(sets && { sets: sets.state }),
    pods: pods.state,
    troubles,
  })
  const cache = keepCached(where, signal)
  const repeat = (part: Part, every: number, work: () => Promise<void>, sleeper?: () => AbortSignal) =>
    stay(counted(work, part, troubles), every, signal, (trouble) => log('error', trouble, { part }), sleeper)
  // Until then, nobody knows whether pods need what the node does not have.
  const hasLooked = () => sets === undefined || sets.hasLooked
  const tell = readinessTo(log, state(), hasLooked)
  await Promise.all([
    repeat('plugin', Math.min(PLUGIN_EVERY, interval), async () => {
      await plugin.look()
      await cache()
    }),
    sets && repeat('sets', SETS_EVERY, () => sets.look()),
    listener && repeat('metrics', PORT_EVERY, () => listener.look()),
    repeat(
      'pods',
      Math.min(SETS_EVERY, interval),
      async () => {
        if (hasLooked()) await pods.look()
      },
      () => pods.signal,
    ),
    stay(
      async () => tell(state(), listener),
      SETS_EVERY,
      signal,
      () => {},
    ),
  ])
  await pods.end()
  await listener?.stop()
  log('info', `${ownVersion()} agent ended`)
  return Exit.ok
})

/** What install prints becomes records. */
function saidBy(log: Log): Says {
  return { out: (text) => log('info', text.trim()), err: (text) => log('warn', text.trim()) }
}

interface GivenSets {
  readonly 'sets-from': string | undefined
  readonly 'sets-to': string
  readonly 'sets-within': string | undefined
  readonly 'allow-shrink': boolean
  readonly 'host-root': string | undefined
}

/** @throws Trouble */
function setRulesOf(given: GivenSets, interval: number): HowToCopy | undefined {
  const { 'sets-from': from, 'sets-to': to, 'sets-within': within, 'allow-shrink': allowShrink } = given
  if (from === undefined) {
    const other = within === undefined ? allowShrink && '--allow-shrink' : '--sets-within'
    if (other) throw new Trouble(`${other}: has no effect without --sets-from; add that`)
    return undefined
  }
  const bounds = within === undefined ? {} : { within: prefixesOf(within) }
  return { from, to, allowShrink, hostRoot: given['host-root'], interval, ...bounds }
}

/** @throws Trouble */
function prefixesOf(text: string): string[] {
  return text.split(',').map((written) => {
    const prefix = parsePrefix(written.trim())
    if (prefix && prefix.network === `${prefix.address}/${prefix.length}`) return prefix.network
    const write = prefix ? prefix.network : 'prefixes with commas between them, such as 10.50.0.0/16,fd00:10:50::/48'
    throw new Trouble(
      `--sets-within: ${JSON.stringify(written)} is not an IP prefix${prefix ? ' without host bits' : ''}; write ${write}`,
    )
  })
}

/** Counts what goes wrong. An error that is thrown again is the same one. */
function counted(work: () => Promise<void>, part: Part, troubles: Record<Part, number>): () => Promise<void> {
  let last: unknown
  return async () => {
    try {
      await work()
    } catch (error) {
      if (error !== last) troubles[part] += 1
      last = error
      // What the system refuses is no bug of ours, and may be over the next time.
      throw fileTrouble(part, error)
    }
  }
}

/** Tells the state, and says when the node becomes ready or is not any more: not before there has been a look. */
function readinessTo(
  log: Log,
  first: AgentState,
  hasLooked: () => boolean,
): (state: AgentState, listener: Listener | undefined) => void {
  let said = lacking(first).join('; ')
  return (state, listener) => {
    listener?.tell(state)
    const why = lacking(state).join('; ')
    if (why === said || !hasLooked()) return
    said = why
    if (why === '') log('info', 'ready')
    else log('warn', `not ready: ${why}`)
  }
}
