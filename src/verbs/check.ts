import { readRoutes } from '../change.ts'
import type { Config } from '../config.ts'
import type { Outcome } from '../dispatch.ts'
import { CniError, Code } from '../errors.ts'
import { routeText } from '../iproute2.ts'
import { withNetns } from '../netns.ts'
import type { Hop } from '../next-hop.ts'
import { effectiveConfig } from '../overrides.ts'
import { planAdd } from '../plan.ts'
import type { Request } from '../request.ts'
import { gatewaysOf, type PrevResult, parsePrevResult } from '../result.ts'
import type { RouteOp, Snapshot } from '../route.ts'
import { refuseUnwritable } from './checks.ts'

/**
 * Compares the pod with the configuration: it is right exactly if ADD would find nothing to do. Routes that others added
 * are theirs.
 * @throws CniError 110 with every difference
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#check-check-containers-networking-is-as-expected
 */
export async function check(request: Request & { verb: 'CHECK' }): Promise<Outcome> {
  const config = effectiveConfig(request.conf)
  const prev = parsePrevResult(request.conf.prevResult)
  refuseUnwritable(request.ifname)
  return withNetns(request.netns, async (netns) => {
    const found = await readRoutes(netns, (snapshot) => differences(config, request.ifname, prev, snapshot))
    if (found.length === 0 || config.dryRun) return {}
    throw new CniError(Code.checkFailed, `${request.ifname}: routes differ from the configuration`, found.join('; '))
  })
}

function differences(config: Config, ifname: string, prev: PrevResult, snapshot: Snapshot): string[] {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic) return [`the pod has no interface ${ifname}`]
  // KubeVirt's bridge binding moves the NIC into a bridge, and leaves a dummy of its name that has addresses and no routes.
  if (nic.kind === 'dummy') return []
  const { ops, problems } = planAdd(config, ifname, snapshot, { gateways: gatewaysOf(prev), hops: hopsOf(prev) })
  return [...problems, ...ops.map((op) => difference(op, snapshot))]
}

/** The next hops that ADD reported. */
function hopsOf(prev: PrevResult): Map<string, Hop> {
  return new Map((prev.routes ?? []).map(({ dst, gw }) => [dst, typeof gw === 'string' ? { gw } : {}]))
}

function difference({ op, route, why }: RouteOp, snapshot: Snapshot): string {
  switch (op) {
    case 'add':
      return `${why}: missing: ${routeText(route)}`
    case 'replace': {
      const present = snapshot.routes.filter(
        ({ dst, table, priority }) => dst === route.dst && table === route.table && priority === route.priority,
      )
      return `${why}: expected ${routeText(route)}, found ${present.map(routeText).join(', ')}`
    }
    case 'del':
      return `${why}: not removed: ${routeText(route)}`
    default:
      throw op satisfies never
  }
}
