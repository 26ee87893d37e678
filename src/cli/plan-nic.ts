import { isObject, type NetConf, parseRequest } from '../cni/request.ts'
import { parsePrevResult } from '../cni/result.ts'
import { effectiveConfig } from '../config/overrides.ts'
import type { ReadSet } from '../config/route-sets.ts'
import { CniError, Code } from '../errors.ts'
import { readRoutes } from '../kernel/change.ts'
import { EVERYTHING, type Look, lookAt } from '../kernel/look.ts'
import type { WithNetns } from '../kernel/netns.ts'
import { commandText } from '../net/iproute2.ts'
import type { Op, Snapshot } from '../net/route.ts'
import { afterwards } from '../plan/effects.ts'
import { mayHaveRules6 } from '../plan/source-rules.ts'
import { decideAdd } from '../verbs/add.ts'
import { decideDel } from '../verbs/del.ts'
import { refuseUnwritable } from '../verbs/refusals.ts'
import { dhcpPreview } from './dhcp.ts'
import { missingReturnPaths, type PodLook, podLook } from './node.ts'
import type { Plan } from './plan-text.ts'
import { prevResultOf, unknownGateway } from './prev-result.ts'
import { diffOf } from './route-diff.ts'

/** What is known of the NIC that a call is planned for, besides the pod. */
export interface Nic {
  readonly ifname: string
  readonly conf: NetConf
  /** The type of the first plugin of the chain. */
  readonly maker: string | undefined
  /** A virtual machine is known to use the network with the bridge binding. */
  readonly bridged: boolean
  /** The Result of its ADD, if a cache has it. */
  readonly cached: () => unknown
}

/** What does not depend on the NIC. */
export interface Call {
  readonly verb: 'ADD' | 'DEL'
  readonly readSet: ReadSet
  /** The "cni-args" to take, in place of those in the configuration. */
  readonly cniArgs: object | undefined
  /** Where the node's root directory is mounted. */
  readonly root: string
}

/** Shows the pod as it is now. */
export type TakeSnapshot = (overhear: PodLook['overhear']) => Promise<Snapshot> | Snapshot

/** What a call for the NIC would do now. @throws CniError */
export async function planNic(nic: Nic, { verb, readSet, cniArgs, root }: Call, take: TakeSnapshot): Promise<Plan> {
  const { ifname, maker } = nic
  const conf = cniArgs === undefined ? nic.conf : withCniArgs(nic.conf, cniArgs)
  refuseUnwritable(ifname)
  const pod = podLook(ifname, maker)
  const snapshot = await take(pod.overhear)
  if (verb === 'DEL') return planDel(conf, readSet, ifname, snapshot)
  return withWarnings(planAdd({ ...nic, conf }, readSet, snapshot), pod, root)
}

/** Errors that are about the configuration, not about where the plugin was called. */
const REFUSALS: readonly Code[] = [
  Code.incompatibleVersion,
  Code.decodingFailure,
  Code.invalidConfig,
  Code.tryAgainLater,
  Code.overrideNotAllowed,
]

export function isRefusal(error: unknown): error is CniError {
  return error instanceof CniError && REFUSALS.includes(error.code)
}

/** A person can wait, and wants to see everything. */
const TIME_LIMIT_MS = 30_000

export function snapshotIn(netns: string, open: WithNetns): TakeSnapshot {
  const look: Look<Snapshot> = lookAt(EVERYTHING, { links: true, rules6: mayHaveRules6 })
  return (overhear) => open(netns, TIME_LIMIT_MS, (opened) => readRoutes(opened, overhear(look)))
}

function withCniArgs(conf: NetConf, cni: object): NetConf {
  return { ...conf, args: { ...(isObject(conf.args) ? conf.args : {}), cni } }
}

function planAdd({ ifname, conf, maker, bridged, cached }: Nic, readSet: ReadSet, snapshot: Snapshot): Plan {
  const request = parseRequest({ CNI_COMMAND: 'ADD', CNI_IFNAME: ifname }, conf)
  if (request.verb !== 'ADD') throw new Error(`unreachable: ${request.verb}`)
  const { dryRun, ...config } = effectiveConfig(conf, readSet)
  const { prevResult, from } = prevResultOf(conf, ifname, cached, snapshot)
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

function shownOps(verb: 'ADD' | 'DEL', ifname: string, ops: readonly Op[], snapshot: Snapshot) {
  return { verb, ifname, ops, batch: ops.map(commandText), diff: diffOf(snapshot, ops) }
}

/** ADD does not change the node's return path to the pod: if it is missing now, it will be missing after ADD. */
async function withWarnings(made: Plan, pod: PodLook, root: string): Promise<Plan> {
  const nic = pod.nic(made.result)
  const problems = nic ? (await missingReturnPaths([nic], root)).get(nic) : undefined
  return { ...made, warnings: [...made.warnings, ...(problems ?? [])] }
}
