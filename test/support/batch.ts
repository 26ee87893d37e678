import { parseConfig } from '../../src/config/config.ts'
import { batchLine } from '../../src/net/iproute2.ts'
import type { Snapshot } from '../../src/net/route.ts'
import { planAdd } from '../../src/plan/plan.ts'
import { refuseProblems } from '../../src/verbs/refusals.ts'
import { calicoPod } from './snapshots.ts'

/** The batch that ADD writes for `conf` in a pod. */
export function batch(conf: Record<string, unknown>, pod: Snapshot = calicoPod(), ifname = 'eth0'): string[] {
  const { ops, problems } = planAdd(parseConfig(conf), ifname, pod)
  refuseProblems(problems)
  return ops.map(batchLine)
}
