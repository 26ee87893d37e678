import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Registry from 'prom-client/lib/registry.js'
import { STATES } from '../look-at-pod.ts'
import { REPAIR_STATES } from '../repair-node.ts'
import type { PodsState } from './keep-pods.ts'
import { type AgentState, lacking, PARTS } from './state.ts'

/** A sample: its value, and its labels. */
type Sample = readonly [value: number, labels?: Readonly<Record<string, string>>]

/**
 * The state in Prometheus' text format.
 * @see https://prometheus.io/docs/practices/naming/
 */
export async function metricsOf(state: AgentState): Promise<string> {
  const registry = new Registry()
  const define = (kind: typeof Gauge | typeof Counter, name: string, help: string, samples: readonly Sample[]) => {
    // prom-client would show 0 without labels.
    if (samples.length === 0) return
    const labelNames = Object.keys(samples[0]?.[1] ?? {})
    const metric = new kind({ name: `x_calico_route_${name}`, help, labelNames, registers: [registry] })
    for (const [value, labels = {}] of samples) metric.inc(labels, value)
  }
  const gauge = (name: string, help: string, samples: readonly Sample[]) => define(Gauge, name, help, samples)
  const counter = (name: string, help: string, samples: readonly Sample[]) => define(Counter, name, help, samples)

  ofAgent(state, gauge, counter)
  ofSets(state, gauge)
  ofPods(state.pods, gauge, counter)
  return registry.metrics()
}

type Define = (name: string, help: string, samples: readonly Sample[]) => void

function ofAgent(state: AgentState, gauge: Define, counter: Define): void {
  const { version, plugin, troubles } = state
  gauge('agent_info', 'Version of the agent.', [[1, { version }]])
  gauge('ready', 'Whether the node is ready for pods, as /readyz says.', [[lacking(state).length === 0 ? 1 : 0]])
  gauge('plugin_in_place', 'Whether the plugin is there and answers.', [[plugin.inPlace ? 1 : 0]])
  if (plugin.version !== undefined)
    gauge('plugin_info', 'Version of the plugin that is installed.', [[1, { version: plugin.version }]])
  counter('plugin_reinstalls_total', 'How often the plugin was put back.', [[plugin.installs]])
  counter(
    'agent_troubles_total',
    'How often a part of the work of the agent could not be done.',
    PARTS.map((part) => [troubles[part], { part }]),
  )
}

function ofSets({ sets }: AgentState, gauge: Define): void {
  if (!sets) return
  const known = sets.sets.filter(({ isSet }) => isSet).slice(0, MAX_NAMES)
  const perSet = (name: string, help: string, read: (set: (typeof known)[number]) => number | undefined) =>
    gauge(
      name,
      help,
      known.flatMap((set) => {
        const value = read(set)
        return value === undefined ? [] : [[value, { set: set.name }]]
      }),
    )
  perSet('set_prefixes', 'Prefixes of a route set on the node.', ({ prefixes }) => prefixes)
  perSet('set_last_change_timestamp_seconds', 'When a route set last changed on the node.', ({ changed }) => changed)
  gauge('sets_refused', 'Files whose content the node does not get, as the log says.', [
    [sets.sets.filter(({ problem }) => problem !== undefined).length],
  ])
}

function ofPods({ look, attachments, unreadable, repairs, heldBack }: PodsState, gauge: Define, counter: Define): void {
  const networks = Object.groupBy(attachments, labelsOf(attachments.map(({ network }) => network)))
  const perNetwork = Object.entries(networks).map(([network, all = []]) => ({ network, all }))
  gauge(
    'attachments',
    'Attachments of the node with this plugin, by what the last look found.',
    perNetwork.flatMap(({ network, all }) =>
      STATES.map((state): Sample => [all.filter((one) => one.state === state).length, { network, state }]),
    ),
  )
  gauge(
    'differences',
    'How many routes and the like are not as configured.',
    perNetwork.map(({ network, all }) => [all.reduce((sum, { differences }) => sum + differences, 0), { network }]),
  )
  gauge('unreadable_cache_entries', 'Cache entries that cannot be read.', [[unreadable]])
  counter(
    'repairs_total',
    'Pods that were to be repaired, by what came of it.',
    REPAIR_STATES.map((outcome) => [repairs[outcome] ?? 0, { outcome }]),
  )
  gauge('pods_held_back', 'Pods that are to be repaired, but not yet again.', [[heldBack]])
  if (!look) return
  gauge('last_look_timestamp_seconds', 'When the last look at all attachments ended.', [[look.at]])
  gauge('last_look_duration_seconds', 'How long it took.', [[look.took]])
}

/** More series than so many networks or sets have are of no use. */
const MAX_NAMES = 100
const OTHER = 'other'

/** @see https://github.com/containernetworking/cni/blob/main/SPEC.md#section-1-network-configuration-format, name */
const NETWORK = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

/** The value of the label for a network. A name may be anybody's text: it counts only if it is one that a network may have. */
function labelsOf(names: readonly string[]): (attachment: { network: string }) => string {
  const valid = [...new Set(names)].filter((name) => NETWORK.test(name)).sort()
  const shown = new Set(valid.slice(0, MAX_NAMES))
  return ({ network }) => (shown.has(network) ? network : OTHER)
}
