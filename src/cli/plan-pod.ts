import path from 'node:path'
import { CniError } from '../errors.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { reading } from './files.ts'
import { readCachesBy } from './look-at-node.ts'
import { inWords } from './look-at-pod.ts'
import { startLookers } from './lookers.ts'
import { netnsState, onThisSide } from './node-root.ts'
import { progressOn } from './node-text.ts'
import { jsonText } from './output.ts'
import { type Paint, painter, printable } from './paint.ts'
import { type Call, isRefusal, type Nic, planNic, snapshotIn } from './plan-nic.ts'
import { type Plan, planJson, planText, refusalJson, refusalText } from './plan-text.ts'
import { podsNamed } from './pod-name.ts'
import { podNetns } from './pod-netns.ts'
import { type Attachment, confsIn } from './result-cache.ts'

/** Which attachments to plan for. */
interface Named {
  readonly pod: string
  /** If not all NICs are meant. */
  readonly ifname: string | undefined
  readonly caches: readonly string[]
}

/** An attachment whose network namespace is there. */
type Living = Attachment & { readonly netns: string }

/** What a call for an attachment would do, or why it would not, or cannot be told. */
interface Planned {
  readonly attachment: Living
  readonly made: Plan | CniError
}

/** Plans a call for each attachment of a pod, with what the caches know of it. Each is planned on the pod as it is now. */
export async function planPod(named: Named, call: Call, json: boolean, terminal: Terminal): Promise<number> {
  const attachments = await attachmentsOf(named, call.root, terminal)
  const planned: Planned[] = []
  for (const attachment of attachments)
    for (const nic of nicsOf(attachment)) planned.push({ attachment, made: await plan(attachment, nic, call) })
  const text = () => planned.map((one) => textOf(named.pod, one, call, terminal.colors)).join('\n')
  terminal.out(json ? jsonText({ pod: named.pod, attachments: planned.map((one) => jsonOf(one, call)) }) : text())
  const failed = planned.flatMap(({ made }) => (made instanceof CniError ? made : []))
  if (failed.length === 0) return Exit.ok
  return failed.every(isRefusal) ? Exit.problems : Exit.trouble
}

/** @throws Trouble if nothing can be planned for */
async function attachmentsOf({ pod, ifname, caches }: Named, root: string, terminal: Terminal): Promise<Living[]> {
  using lookers = startLookers()
  const cache = await readCachesBy(lookers, caches, progressOn(terminal))
  const all = podsNamed(cache, pod).flatMap(({ attachments }) => attachments)
  const living = all.flatMap((one) => livingOf(pod, one, root))
  if (living.length === 0) throw new Trouble(`--pod: ${pod} is gone; only its cache entries are left on this node`)
  const wanted = living.filter((one) => ifname === undefined || one.ifname === ifname)
  if (wanted.length > 0) return wanted
  const names = [...new Set(living.map((one) => one.ifname))]
  throw new Trouble(`--ifname: ${pod} has no attachment ${ifname} with x-calico-route; it has ${names.join(', ')}`)
}

function livingOf(pod: string, attachment: Attachment, root: string): Living[] {
  const { netns } = attachment
  if (netns === undefined)
    throw new Trouble(
      `--pod: the cache does not have the network namespace of ${pod} (libcni before 1.2); give --netns, --ifname and FILE`,
    )
  const there = netnsState(root, netns)
  if (there === 'hidden')
    throw new Trouble(
      `${path.dirname(onThisSide(root, netns))}: does not exist here; mount it from the node, or give --root`,
    )
  return there === 'gone' ? [] : [{ ...attachment, netns }]
}

/** One for each entry of this plugin in the chain. What the runtime would pass as prevResult comes from elsewhere. */
function nicsOf({ file, ifname, maker }: Attachment): Nic[] {
  return reading(file, () => confsIn(file)).map(({ prevResult, ...conf }) => ({
    ...{ ifname, maker, conf, bridged: false },
    cached: () => prevResult,
  }))
}

async function plan({ netns }: Living, nic: Nic, call: Call): Promise<Plan | CniError> {
  const { root } = call
  try {
    return await planNic(nic, call, snapshotIn(onThisSide(root, netns), podNetns(root)))
  } catch (error) {
    if (error instanceof CniError) return error
    throw error
  }
}

function jsonOf({ attachment: { container, network, ifname, netns }, made }: Planned, { verb }: Call): object {
  const said = made instanceof CniError ? refusalJson(verb, ifname, made) : planJson(made)
  return { container, network, netns, ...said }
}

function textOf(pod: string, { attachment, made }: Planned, { verb }: Call, colors: boolean): string {
  const { network, ifname, netns } = attachment
  const head = painter(colors)('bold', printable(`${pod}: ${ifname}, network ${network}, netns ${netns}`))
  return `${head}\n\n${made instanceof CniError ? errorText(verb, made, painter(colors)) : planText(made, colors)}`
}

function errorText(verb: string, error: CniError, paint: Paint): string {
  return isRefusal(error)
    ? refusalText(verb, error)
    : `${paint('red', `cannot be planned: ${printable(inWords(error))}`)}\n`
}
