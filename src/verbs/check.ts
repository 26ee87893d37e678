import type { Request } from '../cni/request.ts'
import { CniError, Code, listed } from '../errors.ts'
import { readRoutesAndLookUp } from '../kernel/change.ts'
import { type Look, lookAt } from '../kernel/look.ts'
import { nicIn } from '../net/link.ts'
import type { Snapshot } from '../net/route.ts'
import { differences, isBridged } from '../plan/differences.ts'
import { neededToAdd } from '../plan/needed.ts'
import { probesOf, strayPackets } from '../plan/packets.ts'
import { presentFamilies } from '../plan/present-families.ts'
import { rules6For } from '../plan/source-rules.ts'
import { inputsOf } from './inputs.ts'
import type { Outcome } from './outcome.ts'
import type { Outside } from './outside.ts'
import { refuseUnwritable } from './refusals.ts'

/**
 * Compares the pod with the configuration: all is well if ADD would find nothing to do. Routes that others added are
 * none of our business.
 * @throws CniError 110 with every difference
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#check-check-containers-networking-is-as-expected
 */
export async function check(request: Request & { verb: 'CHECK' }, outside: Outside): Promise<Outcome> {
  const found = await findDifferences(request, outside)
  if (found.length === 0) return {}
  throw new CniError(
    Code.checkFailed,
    `${request.ifname}: routes differ from the configuration`,
    listed(found).join('; '),
  )
}

/** The differences one by one; none with dryRun. @param overhear wraps the look, to hear ip(8)'s answers as well */
export async function findDifferences(
  request: Pick<Request & { verb: 'CHECK' }, 'conf' | 'ifname' | 'netns'>,
  { withNetns, readSet }: Outside,
  overhear: (look: Look<Snapshot>) => Look<Snapshot> = (look) => look,
): Promise<readonly string[]> {
  const { config, prev } = inputsOf(request.conf, readSet)
  const { ifname } = request
  refuseUnwritable(ifname)
  const bounds = neededToAdd(config, ifname, prev)
  return withNetns(request.netns, LIMIT_MS, async (netns) => {
    const probesIn = (seen: Snapshot) => probesOf(presentFamilies(config, ifname, seen), nicIn(seen.links, ifname))
    const look = overhear(lookAt(bounds, { links: true, rules6: rules6For(config, ifname) }))
    const { heard: snapshot, chosen } = await readRoutesAndLookUp(netns, look, (seen) => [
      ...new Set(probesIn(seen).map(({ address }) => address)),
    ])
    if (config.dryRun) return []
    const probes = probesIn(snapshot)
    const found = differences(config, ifname, prev, snapshot)
    // Packets to a missing route go astray too, but that difference is already reported.
    return found.length > 0 || isBridged(snapshot, ifname) ? found : strayPackets(probes, chosen, snapshot, ifname)
  })
}

const LIMIT_MS = 20_000
