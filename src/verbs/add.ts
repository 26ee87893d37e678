import type { Request } from '../cni/request.ts'
import { buildResult, gatewayAddressesOf, type PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { listed } from '../errors.ts'
import { changeRoutes, readRoutes } from '../kernel/change.ts'
import { lookAt } from '../kernel/look.ts'
import { commandText } from '../net/iproute2.ts'
import type { Op, Snapshot } from '../net/route.ts'
import { neededToAdd } from '../plan/needed.ts'
import { planAdd } from '../plan/plan.ts'
import { rules6For } from '../plan/source-rules.ts'
import { inputsOf } from './inputs.ts'
import type { Outcome } from './outcome.ts'
import type { Outside } from './outside.ts'
import { refuseOwn, refuseProblems, refuseUnwritable } from './refusals.ts'

/** Runtimes wait for minutes. Reading stdin and the rollback take up to 10 s each: 60 s in all. */
const LIMIT_MS = 40_000

/**
 * Makes the routes of the pod's NIC what the configuration says. Called again, it finds nothing to do and prints the
 * same.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#add-add-container-to-network-or-apply-modifications
 */
export async function add(request: Request & { verb: 'ADD' }, { withNetns, readSet }: Outside): Promise<Outcome> {
  const { config, prev } = inputsOf(request.conf, readSet)
  refuseUnwritable(request.ifname)
  return withNetns(request.netns, LIMIT_MS, async (netns) => {
    refuseOwn(request, netns)
    const bounds = neededToAdd(config, request.ifname, prev)
    const rules6 = rules6For(config, request.ifname)
    if (config.dryRun) {
      const snapshot = await readRoutes(netns, lookAt(bounds, { links: true, rules6 }))
      const { ops, result, warnings } = decideAdd(request, config, prev, snapshot)
      return { result, routes: ops.map(commandText), warning: warningOf(['dryRun: nothing was changed', ...warnings]) }
    }
    let decision: Decision | undefined
    const decide = (snapshot: Snapshot): readonly Op[] => {
      decision = decideAdd(request, config, prev, snapshot)
      return decision.ops
    }
    const ops = await changeRoutes(netns, { decide, bounds, onFailure: 'restore', rules6 })
    const { result, warnings = [] } = decision ?? {}
    return {
      result,
      routes: ops.map(commandText),
      ...(warnings.length > 0 ? { warning: warningOf(warnings) } : {}),
    }
  })
}

/** How many warnings a record lists. There is one for each other default route: the first few are enough. */
const MAX_WARNINGS = 10

function warningOf(warnings: readonly string[]): string {
  return listed(warnings, MAX_WARNINGS).join('; ')
}

/** What ADD does to a pod, and what it reports. */
export interface Decision {
  readonly ops: readonly Op[]
  readonly result: unknown
  readonly warnings: readonly string[]
}

/**
 * What ADD does if the kernel holds `snapshot`.
 * @throws CniError 4 or 7, before anything is written; also if the Result could not be expressed
 */
export function decideAdd(
  { cniVersion, ifname }: Pick<Request & { verb: 'ADD' }, 'cniVersion' | 'ifname'>,
  config: Config,
  prev: PrevResult,
  snapshot: Snapshot,
): Decision {
  const plan = planAdd(config, ifname, snapshot, { gatewayAddresses: gatewayAddressesOf(prev, ifname) })
  refuseProblems(plan.problems)
  const removed = ([4, 6] as const).filter((family) => config.defaultRoute[family] === 'remove')
  const result = buildResult(
    cniVersion,
    prev,
    config.dryRun ? undefined : { ...plan, removed, before: snapshot.routes },
  )
  return { ops: plan.ops, result, warnings: plan.warnings }
}
