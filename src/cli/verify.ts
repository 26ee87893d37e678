import path from 'node:path'
import { parseArgs } from 'node:util'
import { CniError, Code, listed } from '../errors.ts'
import { withNetns } from '../netns.ts'
import { findDifferences } from '../verbs/check.ts'
import { type Chosen, chooseEntry, inWordsOfOptions, POD } from './choose.ts'
import { type Command, Exit, type Terminal, Trouble } from './command.ts'
import { isDirectory } from './files.ts'
import { noWaysBack, podLook } from './node.ts'
import { netnsState, onThisSide } from './node-root.ts'
import { outputOf } from './output.ts'
import { count, painter } from './paint.ts'
import { type Attachment, attachmentOf, CACHES, type Cache, readCaches } from './result-cache.ts'
import { table } from './table.ts'
import type { Nic } from './way-back.ts'

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
  error       the pod could not be looked at

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

Exit status: 0 nothing differs, 1 a pod differs or a cache entry is unreadable, 2 something could not be looked at. So it can be
the exec probe of a DaemonSet.

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

interface Shown {
  readonly json: boolean
  readonly quiet: boolean
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
  const result = conf.prevResult ?? attachmentOf(known, ifname, root)?.confs[0]?.prevResult
  const pod = podLook(ifname, maker)
  const compare = async () => {
    const found = await findDifferences({ conf: { ...conf, prevResult }, netns, ifname }, withNetns, pod.overhear)
    const nic = pod.nic(result)
    return [...found, ...(nic ? ((await noWaysBack([nic], root)).get(nic) ?? []) : [])]
  }
  const differences = await compare().catch((error) => {
    throw inWordsOfOptions(error)
  })
  const state = differences.length > 0 ? 'differs' : 'ok'
  if (json) terminal.out(`${JSON.stringify({ netns, ifname, state, differences }, null, 2)}\n`)
  else if (state === 'differs') terminal.out(differences.map((one) => `${ifname}: ${one}\n`).join(''))
  else if (!quiet) terminal.out(`${ifname}: ok\n`)
  return state === 'differs' ? Exit.problems : Exit.ok
}

type State = 'ok' | 'differs' | 'gone' | 'unknown' | 'error'

/** What became of one attachment. */
interface Verdict {
  readonly attachment: Attachment
  readonly state: State
  /** Of `differs` each difference, of `error` what failed. */
  readonly said: readonly string[]
  /** What the node must have a way back to. */
  readonly nic?: Nic | undefined
}

/** Each is a process of its own, and a node may have hundreds. */
const AT_ONCE = 8

async function verifyNode(caches: readonly string[], root: string, shown: Shown, terminal: Terminal): Promise<number> {
  const cache = readCaches(caches)
  const { attachments, unreadable } = cache
  const inPods: Verdict[] = []
  const waiting = attachments.entries()
  let done = 0
  const work = async () => {
    for (const [index, attachment] of waiting) {
      inPods[index] = await verdictOn(attachment, root)
      done += 1
      if (terminal.progress) terminal.err(`\r\x1b[K${done} of ${count(attachments.length, 'attachment')}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const verdicts = await withWaysBack(inPods, root)
  if (terminal.progress && attachments.length > 0) terminal.err('\r\x1b[K')
  if (shown.json) terminal.out(`${JSON.stringify(nodeJson(verdicts, cache), null, 2)}\n`)
  else terminal.out(nodeText(verdicts, cache, caches, shown.quiet, terminal.colors))
  const some = (state: State) => verdicts.some((verdict) => verdict.state === state)
  if (some('error')) return Exit.trouble
  return some('differs') || unreadable.length > 0 ? Exit.problems : Exit.ok
}

async function verdictOn(attachment: Attachment, root: string): Promise<Verdict> {
  const { confs, ifname, maker } = attachment
  if (attachment.netns === undefined) return { attachment, state: 'unknown', said: ['netns unknown'] }
  const netns = onThisSide(root, attachment.netns)
  const there = netnsState(root, attachment.netns)
  if (there === 'gone') return { attachment, state: 'gone', said: [] }
  if (there === 'hidden') {
    const said = [`no directory ${path.dirname(netns)} here; mount the node's, or give --root`]
    return { attachment, state: 'error', said }
  }
  try {
    const said: string[] = []
    const pod = podLook(ifname, maker)
    for (const conf of confs) said.push(...(await findDifferences({ conf, netns, ifname }, withNetns, pod.overhear)))
    return { attachment, state: said.length > 0 ? 'differs' : 'ok', said, nic: pod.nic(confs[0]?.prevResult) }
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    // It ended between the two looks.
    if (error.code === Code.invalidEnvironment && netnsState(root, attachment.netns) === 'gone')
      return { attachment, state: 'gone', said: [] }
    return { attachment, state: 'error', said: [inWords(error)] }
  }
}

function inWords({ message, details }: CniError): string {
  return [message.replace(/^CNI_[A-Z]+: /, ''), details].filter(Boolean).join('; ')
}

/** What the pods themselves told, and what the node tells of the ways back to them. */
async function withWaysBack(verdicts: readonly Verdict[], root: string): Promise<readonly Verdict[]> {
  const nics = verdicts.flatMap(({ nic }) => nic ?? [])
  try {
    const problems = await noWaysBack(nics, root)
    return verdicts.map((verdict) => withWayBack(verdict, (verdict.nic && problems.get(verdict.nic)) ?? [], root))
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const said = [`the node's routes: ${inWords(error)}`]
    return verdicts.map((verdict) => (verdict.nic ? { ...verdict, state: 'error', said } : verdict))
  }
}

function withWayBack(verdict: Verdict, problems: readonly string[], root: string): Verdict {
  const { attachment, nic } = verdict
  // A pod that ended meanwhile took its way along.
  if (nic && attachment.netns !== undefined && netnsState(root, attachment.netns) === 'gone')
    return { attachment, state: 'gone', said: [] }
  return problems.length === 0 ? verdict : { ...verdict, state: 'differs', said: [...verdict.said, ...problems] }
}

/** Who is root in a pod decides how many there are. */
const MOST_DIFFERENCES = 1000

const COLORS = { ok: 'green', differs: 'red', gone: 'dim', unknown: 'yellow', error: 'red' } as const
const HEAD = ['CONTAINER', 'POD', 'NETWORK', 'IFNAME', 'STATE', 'DIFFERENCE']
const STATE_COLUMN = HEAD.indexOf('STATE')

function nodeText(
  verdicts: readonly Verdict[],
  { unreadable }: Cache,
  caches: readonly string[],
  quiet: boolean,
  colors: boolean,
): string {
  const paint = painter(colors)
  const told = quiet ? verdicts.filter(({ state }) => state === 'differs' || state === 'error') : verdicts
  const rows = told.map(
    ({ attachment: { container, pod = '-', network, ifname }, state, said: [first = '', ...more] }) => [
      container.slice(0, 12),
      pod,
      network,
      ifname,
      state,
      more.length > 0 ? `${first} (and ${more.length} more: -o json)` : first,
    ],
  )
  const broken = unreadable
    .map(({ file, message }) => `${file}: unreadable: ${message}; remove it if its pod is gone\n`)
    .join('')
  if (rows.length > 0) {
    const painted = (text: string, row: number, column: number) => {
      if (row === 0) return paint('bold', text)
      const state = told[row - 1]?.state
      return column === STATE_COLUMN && state !== undefined ? paint(COLORS[state], text) : text
    }
    return table([HEAD, ...rows], painted) + broken
  }
  if (quiet || broken !== '') return broken
  return `nothing attached with x-calico-route, by ${caches.join(' and ')}\n`
}

function nodeJson(verdicts: readonly Verdict[], { unreadable }: Cache): object {
  return {
    attachments: verdicts.map(({ attachment: { confs: _, maker: __, ...attachment }, state, said }) => ({
      ...attachment,
      state,
      ...(state === 'differs' ? { differences: listed(said, MOST_DIFFERENCES) } : {}),
      ...(state === 'error' || state === 'unknown' ? { message: said.join('; ') } : {}),
    })),
    unreadable,
  }
}
