import { listed } from '../errors.ts'
import { findDifferences } from '../verbs/check.ts'
import { type Chosen, chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { isDirectory } from './files.ts'
import { noWaysBack, podLook } from './node.ts'
import { onThisSide } from './node-root.ts'
import { jsonText, OUTPUT } from './output.ts'
import { printable } from './paint.ts'
import { netnsOfPerson } from './pod-netns.ts'
import { CACHES, resultOf } from './result-cache.ts'
import { define } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'
import { type Shown, verifyNode } from './verify-node.ts'

const DEFINITION = {
  name: 'verify',
  summary: 'compare pods with their configuration',
  usage: [
    '[--cache DIR]… [--root DIR] [--quiet] [-o json]',
    '--netns PATH --ifname IF [--name NETWORK] [-o json] FILE',
  ],
  about: [
    "Compare as CHECK does, at any time and without a runtime, and change nothing. Without FILE it looks at every attachment of this node whose chain has x-calico-route, according to libcni's result cache. With FILE (see `validate --help`) it looks at one NIC of one pod. It needs CAP_SYS_ADMIN, to enter namespaces.",
    "On the node, or in a container with hostNetwork, it also looks for the way back: behind calico and ptp the node must have a route to each address of the NIC by the pod's own host veth, or no answer comes back to the pod.",
    [
      ['ok', 'The routes are those of the configuration.'],
      ['differs', 'They are not, or there is no way back. Each difference is told.'],
      ['gone', "The pod's network namespace is no more; its cache entry is left over."],
      ['unknown', 'The cache does not tell the network namespace (libcni before 1.2).'],
      ['error', 'The pod cannot be looked at, or not within 15 s and 80 MiB of memory.'],
    ],
    'It can drive an alert. Do not make it the probe of a DaemonSet: any pod could then block its rollout.',
  ],
  argument: { name: 'FILE', count: 'at most one', completes: 'file' },
  options: {
    cache: {
      value: 'DIR',
      completes: 'directory',
      repeats: true,
      about: `A result cache. May be given several times. By default ${CACHES.join(' and ')}.`,
    },
    root: {
      value: 'DIR',
      completes: 'directory',
      default: '/',
      about: "Where the node's root directory is, for cache and namespaces: /host in a container that mounts it there.",
    },
    quiet: { about: 'Print only what is not right.' },
    ...POD,
    output: OUTPUT,
  },
  exit: [
    ['0', 'Nothing differs.'],
    ['1', 'A pod differs, or a cache entry cannot be read.'],
    ['2', 'A wrong argument, or something that cannot be looked at.'],
  ],
  examples: [
    'x-calico-route verify --quiet',
    'x-calico-route verify --netns /var/run/netns/pod --ifname eth0 network.yaml',
  ],
} as const satisfies Definition

export const verify = define(DEFINITION, ({ options, words: [file] }, terminal) => {
  const { netns, ifname, name, root, quiet } = options
  const shown = { json: options.output === 'json', quiet }
  const asked = options.cache.map((directory) => onThisSide(root, directory))
  if (file === undefined) {
    if (netns !== undefined || ifname !== undefined || name !== undefined) {
      throw new Trouble('--netns, --ifname and --name go with a FILE, the configuration of that pod')
    }
    // Of a word that was misspelt nobody would hear: a node without a cache is one without pods.
    for (const directory of [root, ...asked])
      if (!isDirectory(directory)) throw new Trouble(`${directory}: is no directory; give one with --root or --cache`)
    const caches = asked.length > 0 ? asked : CACHES.map((directory) => onThisSide(root, directory))
    return verifyNode(caches, root, shown, terminal)
  }
  if (netns === undefined || ifname === undefined)
    throw new Trouble('a FILE needs --netns and --ifname, the pod to compare with it')
  return verifyOne({ ...chooseEntry(file, name, terminal), netns, ifname, root }, shown, terminal)
})

interface One extends Pick<Chosen, 'conf' | 'maker'> {
  /** As the node knows it. */
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
  // Without a Result at hand the kernel must tell everything that ADD reported.
  const { prevResult = {} } = conf
  const result = conf.prevResult ?? resultOf(known, ifname, root)
  const pod = podLook(ifname, maker)
  const compare = async () => {
    const found = await findDifferences(
      { conf: { ...conf, prevResult }, netns, ifname },
      netnsOfPerson(root),
      pod.overhear,
    )
    const nic = pod.nic(result)
    return [...listed(found), ...(nic ? ((await noWaysBack([nic], root)).get(nic) ?? []) : [])]
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
