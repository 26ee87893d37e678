import { listed } from '../errors.ts'
import { findDifferences } from '../verbs/check.ts'
import { type Chosen, chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { missingReturnPaths, podLook } from './node.ts'
import { cachesOf, NODE } from './node-options.ts'
import { onThisSide, setsBelow } from './node-root.ts'
import type { Shown } from './node-text.ts'
import { jsonText, OUTPUT } from './output.ts'
import { printable } from './paint.ts'
import { BY_NAME, refuseBesidePod } from './pod-name.ts'
import { netnsOfPerson } from './pod-netns.ts'
import { resultOf } from './result-cache.ts'
import { define } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'
import { verifyNode } from './verify-node.ts'

const DEFINITION = {
  name: 'verify',
  summary: 'compare pods with their configuration',
  usage: [
    '[--pod NAMESPACE/NAME] [--cache DIR]… [--root DIR] [--quiet] [-o json]',
    '--netns PATH --ifname IF [--name NETWORK] [-o json] FILE',
  ],
  about: [
    "Compare as CHECK does, at any time and without a runtime, and change nothing. Without FILE it looks at every attachment of this node whose chain has x-calico-route, according to libcni's result cache; with --pod, only at those of that pod. With FILE (see `validate --help`) it looks at one NIC of one pod. It needs CAP_SYS_ADMIN, to enter namespaces.",
    "On the node, or in a container with hostNetwork, it also looks for the return path: for the NICs of calico and ptp the node must have a route to each address through the pod's own host veth, or no answer comes back to the pod.",
    [
      ['ok', 'The routes are those of the configuration.'],
      ['differs', 'They are not, or there is no return path. Each difference is listed.'],
      ['gone', "The pod's network namespace is gone; only its cache entry is left."],
      ['unknown', 'The cache does not have the network namespace (libcni before 1.2).'],
      ['error', 'The pod could not be looked at with 15 s and 120 MiB of memory, or not at all.'],
    ],
    'Use it for alerts, but not as the probe of a DaemonSet: any pod could then block the rollout.',
  ],
  argument: { name: 'FILE', count: 'at most one', completes: 'file' },
  options: {
    ...BY_NAME,
    ...NODE,
    ...POD,
    output: OUTPUT,
  },
  exit: [
    ['0', 'Nothing differs.'],
    ['1', 'A pod differs, or a cache entry cannot be read.'],
    ['2', 'An argument is wrong, or something cannot be looked at.'],
  ],
  examples: [
    'x-calico-route verify --quiet',
    'x-calico-route verify --pod default/web-0',
    'x-calico-route verify --netns /var/run/netns/pod --ifname eth0 network.yaml',
  ],
} as const satisfies Definition

export const verify = define(DEFINITION, ({ options, words: [file] }, terminal) => {
  const { pod, netns, ifname, name, root, quiet } = options
  const shown = { json: options.output === 'json', quiet }
  refuseBesidePod(pod, { FILE: file, '--netns': netns, '--ifname': ifname, '--name': name })
  if (file === undefined) {
    if (netns !== undefined || ifname !== undefined || name !== undefined) {
      throw new Trouble(
        'FILE is missing: --netns, --ifname and --name need the configuration of that pod; give it, or --pod alone',
      )
    }
    return verifyNode({ caches: cachesOf(options), root, pod }, shown, terminal)
  }
  if (netns === undefined || ifname === undefined)
    throw new Trouble('FILE: needs --netns and --ifname, which say what to compare it with')
  return verifyOne({ ...chooseEntry(file, name, terminal), netns, ifname, root }, shown, terminal)
})

interface One extends Pick<Chosen, 'conf' | 'maker'> {
  /** The path on the node. */
  readonly netns: string
  readonly ifname: string
  readonly root: string
}

async function verifyOne(
  { conf, maker, netns: known, ifname, root }: One,
  { json, quiet }: Shown,
  terminal: Terminal,
): Promise<number> {
  const netns = onThisSide(root, known)
  // Without prevResult in FILE, the pod is compared with the configuration only.
  const { prevResult = {} } = conf
  const result = conf.prevResult ?? resultOf(known, ifname, root)
  const pod = podLook(ifname, maker)
  const compare = async () => {
    const found = await findDifferences(
      { conf: { ...conf, prevResult }, netns, ifname },
      { withNetns: netnsOfPerson(root), readSet: setsBelow(root) },
      pod.overhear,
    )
    const nic = pod.nic(result)
    return [...listed(found), ...(nic ? ((await missingReturnPaths([nic], root)).get(nic) ?? []) : [])]
  }
  const differences = await compare().catch((error) => {
    throw inWordsOfOptions(error)
  })
  const state = differences.length > 0 ? 'differs' : 'ok'
  if (json) terminal.out(jsonText({ netns, ifname, state, differences }))
  else if (state === 'differs') terminal.out(differences.map((one) => `${printable(`${ifname}: ${one}`)}\n`).join(''))
  else if (!quiet) terminal.out(`${ifname}: ok\n`)
  return state === 'differs' ? Exit.problems : Exit.ok
}
