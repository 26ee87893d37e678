import type { NetConf } from '../cni/request.ts'
import { CniError, Code, listed, refusal } from '../errors.ts'
import { changeRoutes, readRoutesAndLookUp } from '../kernel/change.ts'
import { GLANCE, type Look, lookAt } from '../kernel/look.ts'
import type { Netns } from '../kernel/netns.ts'
import { commandText } from '../net/iproute2.ts'
import { nicIn } from '../net/link.ts'
import type { Op, Route, Snapshot } from '../net/route.ts'
import { isBridged } from '../plan/differences.ts'
import { ofSets } from '../plan/of-sets.ts'
import { type Probe, probesOf, strayPackets } from '../plan/packets.ts'
import { presentFamilies } from '../plan/present-families.ts'
import { type Only, planRepair, type RepairPlan } from '../plan/repair.ts'
import { neededToRepair, rules6ToRepair } from '../plan/surplus.ts'
import type { Wish } from '../plan/wish.ts'
import { inputsOf } from './inputs.ts'
import type { Outside } from './outside.ts'
import { refuseOwn, refuseUnwritable } from './refusals.ts'

/** One entry of this plugin in the chain of an attachment, as CHECK gets it. */
export interface Asked {
  readonly conf: NetConf
  readonly ifname: string
}

/** How repair reaches what is outside of this process. */
export interface OutsideOfRepair extends Outside {
  /** Asked once, after a look and before the first write: whether these batch lines may be carried out. */
  readonly agree: (lines: readonly string[], opened: Netns) => boolean
  /** Wraps the first look, to hear ip(8)'s answers as well. */
  readonly overhear?: (look: Look<Snapshot>) => Look<Snapshot>
}

export interface Repaired {
  /** What differed, as CHECK says it, each with its interface; empty: there was nothing to do. */
  readonly found: readonly string[]
  /** What was carried out; or, if nothing was, what would have been. */
  readonly ops: readonly Op[]
  /** Why nothing was done although something differs, or what differs still. */
  readonly left?: string
}

/** With 10 s for a rollback, less than the 19 s after which the process of a repair is killed. */
const LIMIT_MS = 8000

/**
 * Makes the routes of a whole pod what its attachments ask for together, with what ADD guarantees: checked first,
 * verified afterwards, rolled back on failure. Called again, it finds nothing to do.
 * @param asked in the order of the ADDs, as far as known
 * @param only if not all of that
 * @throws CniError as ADD does: 4, 7, 11 or 120 for what is asked, 8 for our own namespace, 100 to 104 with what became
 * of the pod
 */
export async function repair(
  asked: readonly Asked[],
  netns: string,
  outside: OutsideOfRepair,
  only?: Only,
): Promise<Repaired> {
  const wishes = asked
    .map(({ conf, ifname }): Wish => ({ ifname, ...inputsOf(conf, outside.readSet) }))
    .filter(({ config }) => !config.dryRun)
  for (const { ifname } of wishes) refuseUnwritable(ifname)
  if (wishes.length === 0) return { found: [], ops: [] }
  return outside.withNetns(netns, LIMIT_MS, async (opened) => {
    refuseOwn({ allowOwnNetns: false }, opened)
    const { plan, stray } = await compare({ wishes, only }, opened, outside.overhear)
    if (plan.refused !== undefined) return { found: plan.found, ops: plan.ops, left: plan.refused }
    if (plan.ops.length === 0) return { found: stray, ops: [], ...(stray.length > 0 ? { left: STRAY } : {}) }
    return change({ wishes, only }, opened, outside.agree)
  })
}

const STRAY = 'the routes are as configured, and what sends packets elsewhere is not ours to change'
const NOT_AGREED = 'nothing was changed: so it was asked'

/** What is to be made right. */
interface Task {
  readonly wishes: readonly Wish[]
  readonly only: Only
}

/** Looks at the pod as CHECK does, for all attachments at once. */
async function compare(
  task: Task,
  netns: Netns,
  overhear: NonNullable<OutsideOfRepair['overhear']> = (look) => look,
): Promise<{ plan: RepairPlan; stray: string[] }> {
  const { wishes, only } = task
  const look = overhear(lookAt(neededToRepair(wishes), { links: true, rules6: rules6ToRepair(wishes) }))
  let plan: RepairPlan | undefined
  // Packets to a missing route go astray too, but that difference is already known.
  const addressesFor = (snapshot: Snapshot) => {
    plan = planRepair(wishes, snapshot, only)
    return plan.found.length > 0 ? [] : addressesOf(probesFor(task, snapshot))
  }
  const { heard, chosen } = await readRoutesAndLookUp(netns, look, addressesFor)
  const { found, ...rest } = plan ?? planRepair(wishes, heard, only)
  return {
    plan: { found, ...rest },
    stray: found.length > 0 ? [] : strayFrom(wishes, probesFor(task, heard), chosen, heard),
  }
}

type Probes = readonly (readonly Probe[])[]

/** Of each wish. */
function probesFor({ wishes, only }: Task, snapshot: Snapshot): Probes {
  return wishes.map(({ config, ifname }) => {
    const counts = only === 'sets' ? ofSets(config) : () => true
    return probesOf(presentFamilies(config, ifname, snapshot), nicIn(snapshot.links, ifname)).filter(({ path }) =>
      counts(path),
    )
  })
}

const addressesOf = (probes: Probes) => [...new Set(probes.flat().map(({ address }) => address))]

/** @param probes of each wish */
function strayFrom(
  wishes: readonly Wish[],
  probes: Probes,
  chosen: ReadonlyMap<string, Route>,
  snapshot: Snapshot,
): string[] {
  return wishes.flatMap(({ ifname }, i) =>
    isBridged(snapshot, ifname)
      ? []
      : strayPackets(probes[i] ?? [], chosen, snapshot, ifname).map((says) => `${ifname}: ${says}`),
  )
}

async function change(task: Task, netns: Netns, agree: OutsideOfRepair['agree']): Promise<Repaired> {
  const { wishes, only } = task
  let first: RepairPlan | undefined
  let refused: RepairPlan | undefined
  let last: Snapshot | undefined
  let isAgreed = true
  const decide = (snapshot: Snapshot): readonly Op[] => {
    const plan = planRepair(wishes, snapshot, only)
    if (plan.refused !== undefined) {
      refused = plan
      throw refusal(Code.invalidConfig, plan.found)
    }
    if (!first && plan.ops.length > 0) {
      first = plan
      isAgreed = agree(plan.ops.map(commandText), netns)
    }
    last = snapshot
    return isAgreed ? plan.ops : []
  }
  try {
    const ops = await changeRoutes(netns, {
      decide,
      bounds: neededToRepair(wishes),
      onFailure: 'restore',
      rules6: rules6ToRepair(wishes),
    })
    // Somebody else was faster.
    if (!first || !last) return { found: [], ops: [] }
    if (!isAgreed) return { ...first, left: NOT_AGREED }
    return { found: first.found, ops, ...(await leftAfterwards(task, netns, last)) }
  } catch (error) {
    // The pod has changed: that is what differs now.
    if (refused && error instanceof CniError && error.code === Code.invalidConfig)
      return { found: refused.found, ops: [], left: refusedText(refused, error) }
    throw error
  }
}

/** @param error has the refusal as its cause if something had been done by then, which is rolled back */
function refusedText({ refused = '' }: RepairPlan, { cause }: CniError): string {
  return cause === undefined ? refused : `${refused}; the pod's routes are unchanged`
}

/** What sends packets elsewhere, although the routes are as `snapshot` shows. */
async function leftAfterwards(task: Task, netns: Netns, snapshot: Snapshot): Promise<Pick<Repaired, 'left'>> {
  const probes = probesFor(task, snapshot)
  const inTime = { ...netns, until: netns.until + LIMIT_MS }
  try {
    const { chosen } = await readRoutesAndLookUp(inTime, GLANCE, () => addressesOf(probes))
    const stray = strayFrom(task.wishes, probes, chosen, snapshot)
    return stray.length > 0 ? { left: `${STRAY}: ${listed(stray).join('; ')}` } : {}
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    return { left: `the pod's routes are changed, but could not be looked at again: ${error.message}` }
  }
}
