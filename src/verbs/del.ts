import { changeRoutes } from '../change.ts'
import type { Config } from '../config.ts'
import { CniError, Code, messageOf } from '../errors.ts'
import { batchLine } from '../iproute2.ts'
import type { WithNetns } from '../netns.ts'
import { effectiveConfig, isDry, onlyKnown } from '../overrides.ts'
import { planDel } from '../plan.ts'
import type { NetConf, Request } from '../request.ts'
import type { RouteOp, Snapshot } from '../route.ts'
import type { Outcome } from './outcome.ts'
import { refuseOwn } from './refusals.ts'

/**
 * Takes our routes off the NIC, if there still is one. Everything else is success: a DEL that fails keeps the runtime
 * from calling the plugins before us, and their interfaces and addresses leak.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#del-remove-container-from-network-or-un-apply-modifications
 */
export async function del(request: Request & { verb: 'DEL' }, withNetns: WithNetns): Promise<Outcome> {
  // Where ADD was dry there is nothing of ours; and dry is dry.
  if (request.netns === '' || isDry(request.conf)) return {}
  try {
    return await withNetns(request.netns, async (netns) => {
      refuseOwn(request, netns)
      const { ifname } = request
      const ops = await changeRoutes(netns, (snapshot) => decideDel(request.conf, ifname, snapshot), 'leave')
      return { routes: ops.map(batchLine) }
    })
  } catch (error) {
    if (error instanceof CniError && error.code === Code.ownNetns) throw error
    // A namespace that is gone is the ordinary end of a pod, not worth a word at level info.
    const gone = error instanceof CniError && error.code === Code.invalidEnvironment
    return gone ? {} : { warning: `routes not removed: ${messageOf(error)}` }
  }
}

/** What DEL does where the kernel holds `snapshot`. */
export function decideDel(conf: NetConf, ifname: string, snapshot: Snapshot): readonly RouteOp[] {
  return planDel(() => configured(conf), ifname, snapshot)
}

/** What the configuration put on other NICs; nothing if it is one that ADD would have refused: then it never did. */
function configured(conf: NetConf): Pick<Config, 'routes' | 'gateway'> {
  try {
    return effectiveConfig(onlyKnown(conf))
  } catch {
    return { routes: [] }
  }
}
