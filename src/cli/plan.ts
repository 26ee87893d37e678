import { isObject } from '../cni/request.ts'
import { type ReadSet, UNKNOWN_SETS } from '../config/route-sets.ts'
import { withNetns } from '../kernel/netns.ts'
import type { Snapshot } from '../net/route.ts'
import { chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { nameOf, onceFromStdin, readText } from './files.ts'
import { cachesOf, NODE } from './node-options.ts'
import { onThisSide, setsBelow } from './node-root.ts'
import { jsonText, OUTPUT } from './output.ts'
import { type Call, isRefusal, planNic, snapshotIn, type TakeSnapshot } from './plan-nic.ts'
import { planPod } from './plan-pod.ts'
import { planJson, planText, refusalJson, refusalText } from './plan-text.ts'
import { BY_NAME, refuseBesidePod } from './pod-name.ts'
import { resultOf } from './result-cache.ts'
import { savedSnapshot } from './saved-routes.ts'
import { define } from './usage/define.ts'
import type { Definition, Given } from './usage/definition.ts'
import { SETS, setsKnown } from './validate/set-sources.ts'

const DEFINITION = {
  name: 'plan',
  summary: 'show what ADD would change in a pod, and change nothing',
  usage: [
    '--netns PATH --ifname IF [OPTION…] FILE',
    '--pod NAMESPACE/NAME [--ifname IF] [OPTION…]',
    '--routes FILE [--links FILE] --ifname IF [OPTION…] FILE',
  ],
  about: [
    "Show each route that ADD would add or remove and the configuration key behind it, the lines for ip(8), the Result, and what KubeVirt's bridge binding would then hand to a VM by DHCP. On the node it warns, as verify does, if the node has no return path to the NIC.",
    "With --pod it shows this for each attachment of a pod on this node, or for that of --ifname, with the configuration and network namespace that libcni's result cache has.",
    'FILE holds the configuration; see `validate --help` for its forms. One of the files may be "-", which is stdin.',
    'Route sets are those of --sets, else of a ConfigMap in FILE, else of this node.',
    "prevResult is taken from FILE, else from libcni's result cache, else made of the addresses of the NIC.",
    'If "kubevirt" is true, or if a VirtualMachine in FILE uses the network with the bridge binding, it warns of what KubeVirt cannot hand on.',
  ],
  argument: { name: 'FILE', count: 'at most one', completes: 'file' },
  options: {
    ...BY_NAME,
    cache: NODE.cache,
    root: NODE.root,
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
    'x-calico-route plan --pod default/web-0',
    'x-calico-route plan --routes routes.json --ifname eth0 network.yaml',
  ],
} as const satisfies Definition

export const plan = define(DEFINITION, (given, terminal) => {
  const { pod, ifname, root, output, verb } = given.options
  const json = output === 'json'
  const call = { verb, root, cniArgs: cniArgsOf(given.options['cni-args']) }
  if (pod !== undefined) {
    refuseBesideName(given)
    const sets = setsOr(root, setsKnown(given.options.sets, []))
    return planPod({ pod, ifname, caches: cachesOf(given.options) }, { ...call, readSet: sets }, json, terminal)
  }
  return planFile(askedOf(given), call, json, terminal)
})

type Asked = ReturnType<typeof askedOf>

async function planFile(
  { file, name, sets, ...where }: Asked,
  call: Omit<Call, 'readSet'>,
  json: boolean,
  terminal: Terminal,
): Promise<number> {
  const { ifname, netns } = where
  const chosen = chooseEntry(file, name, terminal)
  const readSet = setsOr(call.root, setsKnown(sets, chosen.sets))
  const cached = () => (netns === undefined ? undefined : resultOf(netns, ifname, call.root))
  try {
    const made = await planNic(
      { ...chosen, ifname, cached },
      { ...call, readSet },
      snapshotOf(where, call.root, terminal),
    )
    terminal.out(json ? jsonText(planJson(made)) : planText(made, terminal.colors))
    return Exit.ok
  } catch (error) {
    if (!isRefusal(error)) throw inWordsOfOptions(error)
    terminal.out(json ? jsonText(refusalJson(call.verb, ifname, error)) : refusalText(call.verb, error))
    return Exit.problems
  }
}

function setsOr(root: string, known: ReadSet): ReadSet {
  return known === UNKNOWN_SETS ? setsBelow(root) : known
}

/** @throws Trouble for what --pod is instead of */
function refuseBesideName({ options: { pod, netns, name, routes, links }, words: [file] }: GivenToPlan): void {
  const others = { FILE: file, '--netns': netns, '--name': name, '--routes': routes, '--links': links }
  refuseBesidePod(pod, others)
}

type GivenToPlan = Given<typeof DEFINITION.options>

/** The arguments without --pod. @throws Trouble if they do not go together */
function askedOf({ options: { netns, ifname, routes, links, name, sets, cache }, words: [file] }: GivenToPlan) {
  if (file === undefined)
    throw new Trouble(
      'exactly one FILE is needed; or give --pod, for a pod of this node\nSee x-calico-route plan --help.',
    )
  if (ifname === undefined) throw new Trouble('--ifname: missing; give the NIC that the plugin would be called for')
  if (netns === undefined && routes === undefined)
    throw new Trouble('--netns: missing; give it or --routes, to say what the pod is like now')
  if (netns !== undefined && routes !== undefined)
    throw new Trouble('--routes: cannot be combined with --netns; give one of them')
  if (cache.length > 0) throw new Trouble('--cache: needs --pod; without it leave it out')
  onceFromStdin([
    ['FILE', file],
    ['--routes', routes],
    ['--links', links],
  ])
  if (links !== undefined && routes === undefined)
    throw new Trouble('--links: needs --routes; with --netns leave it out')
  return { file, ifname, netns, routes, links, name, sets }
}

type Where = Pick<Asked, 'netns' | 'routes' | 'links' | 'ifname'>

function snapshotOf({ netns, routes = '', links, ifname }: Where, root: string, terminal: Terminal): TakeSnapshot {
  if (netns !== undefined) return snapshotIn(onThisSide(root, netns), withNetns)
  return () => saved(routes, links, ifname, terminal)
}

function saved(routes: string, links: string | undefined, ifname: string, terminal: Terminal): Snapshot {
  const read = (file: string) => ({ file: nameOf(file), text: readText(file, terminal) })
  return savedSnapshot(read(routes), links === undefined ? undefined : read(links), ifname)
}

function cniArgsOf(text: string | undefined): object | undefined {
  if (text === undefined) return undefined
  let cni: unknown
  try {
    cni = JSON.parse(text)
  } catch {
    // told below
  }
  if (!isObject(cni))
    throw new Trouble('--cni-args: must be a JSON object; write what "cni-args" in the annotation of a pod has')
  return cni
}
