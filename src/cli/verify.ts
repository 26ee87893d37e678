import { parseArgs } from 'node:util'
import { listed } from '../errors.ts'
import { findDifferences } from '../verbs/check.ts'
import { type Chosen, chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { type Command, Exit, type Terminal, Trouble } from './command.ts'
import { isDirectory } from './files.ts'
import { noWaysBack, podLook } from './node.ts'
import { onThisSide } from './node-root.ts'
import { jsonText, outputOf } from './output.ts'
import { printable } from './paint.ts'
import { netnsOfPerson } from './pod-netns.ts'
import { CACHES, resultOf } from './result-cache.ts'
import { type Shown, verifyNode } from './verify-node.ts'

const HELP = `Usage: x-calico-route verify [--cache DIR]… [--root DIR] [--quiet] [-o json]
       x-calico-route verify --netns PATH --ifname IF [--name NETWORK] FILE

Compares pods with their configuration, as CHECK does, at any time and without a runtime. It changes nothing. Without FILE: every
attachment of this node whose chain has x-calico-route, as libcni's result cache tells of them. With FILE (see validate --help):
one NIC of one pod. It needs CAP_SYS_ADMIN, to enter namespaces.

On the node, or in a container with hostNetwork, it also looks for the way back: behind calico and ptp the node must have a route
to each address of the NIC by the pod's own host end, or no answer comes back to the pod.

  ok          the routes are those of the configuration
  differs     they are not, or there is no way back; each difference is told
  gone        the pod's network namespace is no more; its cache entry is left over
  unknown     the cache does not tell the network namespace (libcni before 1.2)
  error       the pod could not be looked at, or not within 15 s and 80 MiB of memory

Options:
  --cache DIR     a result cache; may be given several times
                  (default: ${CACHES.join(' and ')})
  --root DIR      where the node's root is, for cache and namespaces: /host in a container that mounts it there
  --quiet         print only what is not right
  --netns PATH    the pod's network namespace
  --ifname IF     the NIC in it
  --name NETWORK  which network, if FILE has several
  -o json         print one JSON document
  -h, --help      this text

Exit status: 0 nothing differs, 1 a pod differs or a cache entry is unreadable, 2 something could not be looked at. It can
drive an alert; do not make it the probe of a DaemonSet: any pod could then block its rollout.

Example: x-calico-route verify --netns /var/run/netns/pod --ifname eth0 network.yaml
`

export const verify: Command = {
  summary: 'compares pods with their configuration',
  help: HELP,
  run: async (words, terminal) => {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        cache: { type: 'string', multiple: true },
        root: { type: 'string', default: '/' },
        quiet: { type: 'boolean', default: false },
        ...POD,
      },
    })
    const { netns, ifname, root, quiet } = values
    const asked = (values.cache ?? []).map((directory) => onThisSide(root, directory))
    const json = outputOf(values.output) === 'json'
    const [file, ...others] = positionals
    if (others.length > 0) throw new Trouble('more than one FILE\nSee x-calico-route verify --help.')
    if (file === undefined) {
      if (netns !== undefined || ifname !== undefined || values.name !== undefined) {
        throw new Trouble('--netns, --ifname and --name go with a FILE, the configuration of that pod')
      }
      // Of a word that was misspelt nobody would hear: a node without a cache is one without pods.
      for (const directory of [root, ...asked])
        if (!isDirectory(directory)) throw new Trouble(`${directory}: is no directory; give one with --root or --cache`)
      const caches = asked.length > 0 ? asked : CACHES.map((directory) => onThisSide(root, directory))
      return verifyNode(caches, root, { json, quiet }, terminal)
    }
    if (netns === undefined || ifname === undefined)
      throw new Trouble('a FILE needs --netns and --ifname, the pod to compare with it')
    return verifyOne({ ...chooseEntry(file, values.name, terminal), netns, ifname, root }, { json, quiet }, terminal)
  },
}

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
