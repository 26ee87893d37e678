import type { Request } from '../cni/request.ts'
import { buildResult, gatewaysOf, type PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { listed } from '../errors.ts'
import { changeRoutes, readRoutes } from '../kernel/change.ts'
import { lookAt } from '../kernel/look.ts'
import type { WithNetns } from '../kernel/netns.ts'
import { batchLine } from '../net/iproute2.ts'
import type { RouteOp, Snapshot } from '../net/route.ts'
import { neededToAdd } from '../plan/needed.ts'
import { planAdd } from '../plan/plan.ts'
import { inputsOf } from './inputs.ts'
import type { Outcome } from './outcome.ts'
import { refuseOwn, refuseProblems, refuseUnwritable } from './refusals.ts'

/** A runtime waits for minutes. What else takes time: stdin 10 s, the rollback 10 s; 60 s in all. */
const LIMIT_MS = 40_000

/**
 * Makes the routes of the pod's NIC those of the configuration. A second call finds nothing to do and prints the same.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#add-add-container-to-network-or-apply-modifications
 */
export async function add(request: Request & { verb: 'ADD' }, withNetns: WithNetns): Promise<Outcome> {
  const { config, prev } = inputsOf(request.conf)
  refuseUnwritable(request.ifname)
  return withNetns(request.netns, LIMIT_MS, async (netns) => {
    refuseOwn(request, netns)
    const bounds = neededToAdd(config, request.ifname, prev)
    if (config.dryRun) {
      const snapshot = await readRoutes(netns, lookAt(bounds, { links: true }))
      const { ops, result } = decideAdd(request, config, prev, snapshot)
      return { result, routes: ops.map(batchLine), warning: 'dryRun: nothing was changed' }
    }
    let decision: Decision | undefined
    const decide = (snapshot: Snapshot): readonly RouteOp[] => {
      decision = decideAdd(request, config, prev, snapshot)
      return decision.ops
    }
    const ops = await changeRoutes(netns, { decide, bounds, onFailure: 'restore' })
    const { result, warnings = [] } = decision ?? {}
    return {
      result,
      routes: ops.map(batchLine),
      ...(warnings.length > 0 ? { warning: listed(warnings, MOST_WARNINGS).join('; ') } : {}),
    }
  })
}

/** Nobody needs to read of more default routes beside the one that was asked for. */
const MOST_WARNINGS = 10

/** What ADD does to a pod, and says. */
export interface Decision {
  readonly ops: readonly RouteOp[]
  readonly result: unknown
  readonly warnings: readonly string[]
}

/**
 * What ADD does where the kernel holds `snapshot`.
 * @throws CniError 4 or 7, before anything is written: a Result that cannot be told is a reason not to start
 */
export function decideAdd(
  { cniVersion, ifname }: Pick<Request & { verb: 'ADD' }, 'cniVersion' | 'ifname'>,
  config: Config,
  prev: PrevResult,
  snapshot: Snapshot,
): Decision {
  const plan = planAdd(config, ifname, snapshot, { gateways: gatewaysOf(prev, ifname) })
  refuseProblems(plan.problems)
  const removed = ([4, 6] as const).filter((family) => config.defaultRoute[family] === 'remove')
  const result = buildResult(
    cniVersion,
    prev,
    config.dryRun ? undefined : { ...plan, removed, before: snapshot.routes },
  )
  return { ops: plan.ops, result, warnings: plan.warnings }
}
