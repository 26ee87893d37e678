import { changeRoutes, readRoutes } from '../change.ts'
import { batchLine } from '../iproute2.ts'
import { withNetns } from '../netns.ts'
import { effectiveConfig } from '../overrides.ts'
import { planAdd } from '../plan.ts'
import type { Request } from '../request.ts'
import { buildResult, gatewaysOf, parsePrevResult } from '../result.ts'
import type { RouteOp, Snapshot } from '../route.ts'
import type { Outcome } from './outcome.ts'
import { refuseOwn, refuseProblems, refuseUnwritable } from './refusals.ts'

/**
 * Makes the routes of the pod's NIC those of the configuration. A second call finds nothing to do and prints the same.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#add-add-container-to-network-or-apply-modifications
 */
export async function add(request: Request & { verb: 'ADD' }): Promise<Outcome> {
  const config = effectiveConfig(request.conf)
  const prev = parsePrevResult(request.conf.prevResult)
  refuseUnwritable(request.ifname)
  return withNetns(request.netns, async (netns) => {
    refuseOwn(request, netns)
    let result: unknown
    let warnings: readonly string[] = []
    const decide = (snapshot: Snapshot): readonly RouteOp[] => {
      const plan = planAdd(config, request.ifname, snapshot, { gateways: gatewaysOf(prev) })
      refuseProblems(plan.problems)
      const removed = ([4, 6] as const).filter((family) => config.defaultRoute[family] === 'remove')
      // Before anything is written: a Result that cannot be told is a reason not to start.
      result = buildResult(request.cniVersion, prev, config.dryRun ? undefined : { ...plan, removed })
      warnings = plan.warnings
      return plan.ops
    }
    if (config.dryRun) {
      const ops = await readRoutes(netns, decide)
      return { result, routes: ops.map(batchLine), warning: 'dryRun: nothing was changed' }
    }
    const ops = await changeRoutes(netns, decide)
    return { result, routes: ops.map(batchLine), ...(warnings.length > 0 ? { warning: warnings.join('; ') } : {}) }
  })
}
