import type { NetConf, Request } from '../cni/request.ts'
import type { Config } from '../config/config.ts'
import { effectiveConfig, isDry, onlyKnown } from '../config/overrides.ts'
import { CniError, Code, messageOf, TooMuch } from '../errors.ts'
import { type Change, changeRoutes } from '../kernel/change.ts'
import { converse, runAlone } from '../kernel/ip.ts'
import type { Netns, WithNetns } from '../kernel/netns.ts'
import { batchLine, delLine, flushWords } from '../net/iproute2.ts'
import { GATEWAY_PROTOCOL, PROTOCOL, type RouteOp, type Snapshot } from '../net/route.ts'
import { neededToDel } from '../plan/needed.ts'
import { planDel } from '../plan/plan.ts'
import type { Outcome } from './outcome.ts'
import { refuseOwn } from './refusals.ts'

/** For an ordinary pod; and for one that holds so much that ours must be found otherwise. With 10 s for stdin 30 in all. */
const LIMIT_MS = 10_000
const LONG_LIMIT_MS = 20_000

/**
 * Takes our routes off the NIC, if there still is one. Everything else is success: a DEL that fails keeps the runtime
 * from calling the plugins before us, and their interfaces and addresses leak.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#del-remove-container-from-network-or-un-apply-modifications
 */
export async function del(request: Request & { verb: 'DEL' }, withNetns: WithNetns): Promise<Outcome> {
  // Where ADD was dry there is nothing of ours; and dry is dry.
  if (request.netns === '' || isDry(request.conf)) return {}
  try {
    return await withNetns(request.netns, LONG_LIMIT_MS, async (netns) => {
      refuseOwn(request, netns)
      return removeRoutes(netns, request)
    })
  } catch (error) {
    if (error instanceof CniError && error.code === Code.ownNetns) throw error
    // A namespace that is gone is the ordinary end of a pod, not worth a word at level info.
    const gone = error instanceof CniError && error.code === Code.invalidEnvironment
    return gone ? {} : { warning: `routes not removed: ${messageOf(error)}` }
  }
}

async function removeRoutes(netns: Netns, { conf, ifname }: Request & { verb: 'DEL' }): Promise<Outcome> {
  const warnings: string[] = []
  const decide = (snapshot: Snapshot) => {
    if (snapshot.tooManyDefaults && warnings.length === 0)
      warnings.push('the default routes were left alone: the pod has too many')
    return decideDel(conf, ifname, snapshot)
  }
  const change: Change = { decide, bounds: neededToDel(() => configured(conf), ifname), onFailure: 'leave' }
  const ordinary = { ...netns, until: netns.until - LONG_LIMIT_MS + LIMIT_MS }
  const done: string[] = []
  try {
    done.push(...(await changeRoutes(ordinary, change)).map(batchLine))
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    warnings.unshift(...(await removeUnseen(netns, { conf, ifname }, error)))
    // What is left may be little enough to be looked at.
    await changeRoutes(netns, change).then(
      (ops) => done.push(...ops.map(batchLine)),
      () => {}, // for the same reason
    )
  }
  return { routes: done, ...(warnings.length > 0 ? { warning: warnings.join('; ') } : {}) }
}

/**
 * Removes routes of ours that cannot be looked at: those that the kernel finds by protocol and NIC, and, where it fails over
 * one of them, those that the configuration names. @returns what to say of it
 */
async function removeUnseen(
  netns: Netns,
  { conf, ifname }: Pick<Request & { verb: 'DEL' }, 'conf' | 'ifname'>,
  { message }: TooMuch,
): Promise<string[]> {
  const failures: string[] = []
  for (const words of [PROTOCOL, GATEWAY_PROTOCOL].map((protocol) => flushWords(protocol, ifname))) {
    const failure = await runAlone(netns, words)
    if (failure) failures.push(`ip ${words.join(' ')}: ${messageOf(failure.error ?? failure.stderr)}`)
  }
  const named = configured(conf).routes.map((route) => delLine(route, route.dev ?? ifname))
  // Each that is gone already fails, and the others go on.
  if (named.length > 0) await converse(netns, 'go on', ({ tell }) => tell(named, undefined))
  const told = `the kernel was told to remove the routes of protocol ${PROTOCOL} and ${GATEWAY_PROTOCOL} on ${ifname}`
  return [`the pod could not be looked at: ${message}; ${told}, and those of the configuration`, ...failures]
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
