import { isObject, type NetConf, parseRequest } from '../cni/request.ts'
import { parsePrevResult } from '../cni/result.ts'
import { effectiveConfig } from '../config/overrides.ts'
import { type ReadSet, UNKNOWN_SETS } from '../config/route-sets.ts'
import { CniError, Code } from '../errors.ts'
import { readRoutes } from '../kernel/change.ts'
import { EVERYTHING, lookAt } from '../kernel/look.ts'
import { withNetns } from '../kernel/netns.ts'
import { readSet as readNodesSet } from '../kernel/set-file.ts'
import { commandText } from '../net/iproute2.ts'
import type { Op, Snapshot } from '../net/route.ts'
import { afterwards } from '../plan/effects.ts'
import { mayHaveRules6 } from '../plan/source-rules.ts'
import { decideAdd } from '../verbs/add.ts'
import { decideDel } from '../verbs/del.ts'
import { refuseUnwritable } from '../verbs/refusals.ts'
import { type Chosen, chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { dhcpPreview } from './dhcp.ts'
import { nameOf, onceFromStdin, readText } from './files.ts'
import { missingReturnPaths, type PodLook, podLook } from './node.ts'
import { jsonText, OUTPUT } from './output.ts'
import { type Plan, planText, refusalText } from './plan-text.ts'
import { prevResultOf, unknownGateway } from './prev-result.ts'
import { diffOf } from './route-diff.ts'
import { savedSnapshot } from './saved-routes.ts'
import { SETS, setsKnown } from './set-sources.ts'
import { define } from './usage/define.ts'
import type { Definition, Given } from './usage/definition.ts'

const DEFINITION = {
  name: 'plan',
  summary: 'show what ADD would change in a pod, and change nothing',
  usage: ['--netns PATH --ifname IF [OPTION…] FILE', '--routes FILE [--links FILE] --ifname IF [OPTION…] FILE'],
  about: [
    "Show each route that ADD would add or remove and the configuration key behind it, the lines for ip(8), the Result, and what KubeVirt's bridge binding would then hand to a VM by DHCP. On the node it warns, as verify does, if the node has no return path to the NIC.",
    'FILE holds the configuration; see `validate --help` for its forms. One of the files may be "-", which is stdin.',
    'Route sets are those of --sets, else of a ConfigMap in FILE, else of this node.',
    "prevResult is taken from FILE, else from libcni's result cache, else made of the addresses of the NIC.",
    'If "kubevirt" is true, or if a VirtualMachine in FILE uses the network with the bridge binding, it warns of what KubeVirt cannot hand on.',
  ],
  argument: { name: 'FILE', count: 'one', completes: 'file' },
  options: {
    ...POD,
    sets: SETS,
    routes: {
      value: 'FILE',
      completes: 'file',
      about: 'Instead of --netns: what `ip -json -details -Numeric route show table all` printed in the pod.',
    },
    links: {
      value: 'FILE',
      completes: 'file',
      about:
        'What `ip -json -details address show` printed in the pod. Without it the interfaces are taken from the routes.',
    },
    verb: { words: ['ADD', 'DEL'], default: 'ADD', about: 'The call to plan.' },
    'cni-args': {
      value: 'JSON',
      about: 'The "cni-args" of a pod\'s annotation, for example {"routes": …}, as far as "overrides" allows.',
    },
    output: OUTPUT,
  },
  exit: [
    ['0', 'The plan is shown.'],
    ['1', 'The plugin would refuse the configuration.'],
    ['2', 'An argument is wrong, or a file or pod cannot be read.'],
  ],
  examples: [
    'x-calico-route plan --netns /var/run/netns/pod --ifname eth0 network.yaml',
    'x-calico-route plan --routes routes.json --ifname eth0 network.yaml',
  ],
} as const satisfies Definition

export const plan = define(DEFINITION, async (given, terminal) => {
  const { file, ifname, netns, routes, links } = askedOf(given)
  const { verb, name, sets, output, 'cni-args': cniArgs } = given.options
  const json = output === 'json'
  const chosen = chooseEntry(file, name, terminal)
  const conf = cniArgs === undefined ? chosen.conf : withCniArgs(chosen.conf, cniArgs)
  const known = setsKnown(sets, chosen.sets)
  const readSet = known === UNKNOWN_SETS ? readNodesSet : known
  try {
    refuseUnwritable(ifname)
    const pod = podLook(ifname, chosen.maker)
    const snapshot =
      netns === undefined ? saved(routes ?? '', links, ifname, terminal) : await snapshotOf(netns, pod.overhear)
    const made =
      verb === 'ADD'
        ? await withWarnings(planAdd({ ...chosen, conf }, readSet, { ifname, netns }, snapshot), pod)
        : planDel(conf, readSet, ifname, snapshot)
    terminal.out(json ? jsonText(planJson(made)) : planText(made, terminal.colors))
    return Exit.ok
  } catch (error) {
    if (!(error instanceof CniError) || !REFUSALS.includes(error.code)) throw inWordsOfOptions(error)
    const { code, message: msg, details } = error
    terminal.out(json ? jsonText({ verb, ifname, error: { code, msg, details } }) : refusalText(verb, error))
    return Exit.problems
  }
})

/** The arguments. @throws Trouble if they do not go together */
function askedOf({ options: { netns, ifname, routes, links }, words: [file = ''] }: Given<typeof DEFINITION.options>) {
  if (ifname === undefined) throw new Trouble('--ifname: missing; give the NIC that the plugin would be called for')
  if (netns === undefined && routes === undefined)
    throw new Trouble('--netns: missing; give it or --routes, to say what the pod is like now')
  if (netns !== undefined && routes !== undefined)
    throw new Trouble('--routes: cannot be combined with --netns; give one of them')
  onceFromStdin([
    ['FILE', file],
    ['--routes', routes],
    ['--links', links],
  ])
  if (links !== undefined && routes === undefined)
    throw new Trouble('--links: needs --routes; with --netns leave it out')
  return { file, ifname, netns, routes, links }
}

/** Errors that are about the configuration, not about where the plugin was called. */
const REFUSALS: readonly Code[] = [
  Code.incompatibleVersion,
  Code.decodingFailure,
  Code.invalidConfig,
  Code.tryAgainLater,
  Code.overrideNotAllowed,
]

function planAdd(
  { conf, maker, bridged }: Chosen,
  readSet: ReadSet,
  { ifname, netns }: { readonly ifname: string; readonly netns: string | undefined },
  snapshot: Snapshot,
): Plan {
  const request = parseRequest({ CNI_COMMAND: 'ADD', CNI_IFNAME: ifname }, conf)
  if (request.verb !== 'ADD') throw new Error(`unreachable: ${request.verb}`)
  const { dryRun, ...config } = effectiveConfig(conf, readSet)
  const { prevResult, from } = prevResultOf(conf, ifname, netns, snapshot)
  const prev = parsePrevResult(prevResult)
  const unknown = unknownGateway(config, ifname, maker, from)
  const { ops, result, warnings } = adding(unknown, () =>
    decideAdd(request, { ...config, dryRun: false }, prev, snapshot),
  )
  const dhcp = dhcpPreview(afterwards(snapshot, ops), ifname, config.kubevirt || bridged)
  return {
    ...shownOps('ADD', ifname, ops, snapshot),
    result,
    prevResultFrom: from,
    ...(dhcp ? { dhcp } : {}),
    warnings: [
      ...(dryRun ? ['dryRun is true: ADD would do none of this'] : []),
      ...(unknown === undefined ? [] : [unknown]),
      ...warnings,
    ],
  }
}

/** Adds what is unknown to a refusal of `decide`, which may come of that. */
function adding<T>(unknown: string | undefined, decide: () => T): T {
  try {
    return decide()
  } catch (error) {
    if (!(error instanceof CniError) || unknown === undefined) throw error
    throw new CniError(error.code, error.message, [error.details, unknown].filter(Boolean).join('; '), error)
  }
}

function planDel(conf: NetConf, readSet: ReadSet, ifname: string, snapshot: Snapshot): Plan {
  const ops = conf.dryRun === true ? [] : decideDel(conf, ifname, snapshot, readSet)
  return { ...shownOps('DEL', ifname, ops, snapshot), warnings: [] }
}

function planJson({ ops, ...rest }: Plan): object {
  const { verb, ifname, ...more } = rest
  return { verb, ifname, ops: ops.map(({ origin: { path }, ...op }) => ({ ...op, why: path })), ...more }
}

function shownOps(verb: 'ADD' | 'DEL', ifname: string, ops: readonly Op[], snapshot: Snapshot) {
  return { verb, ifname, ops, batch: ops.map(commandText), diff: diffOf(snapshot, ops) }
}

/** A person can wait, and wants to see everything. */
const TIME_LIMIT_MS = 30_000

function snapshotOf(netns: string, overhear: PodLook['overhear']): Promise<Snapshot> {
  return withNetns(netns, TIME_LIMIT_MS, (open) =>
    readRoutes(open, overhear(lookAt(EVERYTHING, { links: true, rules6: mayHaveRules6 }))),
  )
}

/** ADD does not change the node's return path to the pod: if it is missing now, it will be missing after ADD. */
async function withWarnings(made: Plan, pod: PodLook): Promise<Plan> {
  const nic = pod.nic(made.result)
  const problems = nic ? (await missingReturnPaths([nic], '/')).get(nic) : undefined
  return { ...made, warnings: [...made.warnings, ...(problems ?? [])] }
}

function saved(routes: string, links: string | undefined, ifname: string, terminal: Terminal): Snapshot {
  const read = (file: string) => ({ file: nameOf(file), text: readText(file, terminal) })
  return savedSnapshot(read(routes), links === undefined ? undefined : read(links), ifname)
}

function withCniArgs(conf: NetConf, text: string): NetConf {
  let cni: unknown
  try {
    cni = JSON.parse(text)
  } catch {
    // told below
  }
  if (!isObject(cni))
    throw new Trouble('--cni-args: must be a JSON object; write what "cni-args" in the annotation of a pod has')
  return { ...conf, args: { ...(isObject(conf.args) ? conf.args : {}), cni } }
}
