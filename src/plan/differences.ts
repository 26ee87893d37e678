import { macOf, type PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { listed } from '../errors.ts'
import { routeText } from '../net/iproute2.ts'
import {
  isDemoted,
  isRuleOp,
  type Op,
  RESTORED_PROTOCOL,
  type Route,
  type Snapshot,
  sharingPlace,
} from '../net/route.ts'
import { subjectText } from './effects.ts'
import { bridgedName } from './kubevirt.ts'
import { lostDefaults } from './lost-defaults.ts'
import { planAdd } from './plan.ts'
import { problemText } from './problem.ts'
import { reportedBy } from './reported.ts'

/** Where a pod differs from the configuration of an attachment, as CHECK tells it; none if it is as ADD left it. */
export function differences(config: Config, ifname: string, prev: PrevResult, snapshot: Snapshot): string[] {
  const strange = strangeness(ifname, prev, snapshot)
  if (strange !== undefined) return [strange]
  if (isBridged(snapshot, ifname)) return []
  const { ops, problems } = planAdd(config, ifname, snapshot, reportedBy({ prev, config, ifname }))
  const inPlace = sharingPlace(snapshot.routes)
  const left = [...ops.filter((op) => !isEither(op, config)), ...lostDefaults({ config, ifname, prev }, snapshot)]
  return [...problems.map(problemText), ...left.map((op) => difference(op, inPlace))]
}

/** Why the NIC is not the one that ADD worked on. */
export function strangeness(ifname: string, prev: PrevResult, snapshot: Snapshot): string | undefined {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic) return `the pod has no interface ${ifname}`
  const mac = macOf(prev, ifname)
  if (isBridged(snapshot, ifname) || mac === undefined || nic.mac === undefined || mac.toLowerCase() === nic.mac)
    return undefined
  return `${ifname}: not the interface of the Result: its MAC address is ${nic.mac}, not ${mac}`
}

/**
 * KubeVirt's bridge binding moves the NIC into a bridge under another name. In its place it leaves a dummy interface
 * that has addresses but no routes.
 */
export function isBridged({ links }: Snapshot, ifname: string): boolean {
  const has = (name: string, kind?: string) =>
    links.some((link) => link.ifname === name && (kind === undefined || link.kind === kind))
  return has(ifname, 'dummy') && has(bridgedName(ifname))
}

/** With `demote`, a default route that is still demoted is as ADD left it: nothing need ever restore it. */
export function isEither(op: Op, config: Config): boolean {
  if (isRuleOp(op)) return false
  const { origin, route } = op
  return (
    origin.key === 'defaultRoute' &&
    config.defaultRoute[route.family] === 'demote' &&
    (isDemoted(route) || route.protocol === RESTORED_PROTOCOL)
  )
}

/** How many of the routes in a place a message lists: the first is the one that counts. */
const MAX_PRESENT = 5

/** What differs, if an operation is still to be done. @param inPlace the pod's routes in the place of another */
export function difference(op: Op, inPlace: (route: Route) => readonly Route[]): string {
  const { path } = op.origin
  switch (op.op) {
    case 'add':
    case 'append':
    case 'prepend':
      return `${path}: missing: ${subjectText(op)}`
    case 'replace': {
      const present = inPlace(op.route).map(routeText)
      return `${path}: expected ${subjectText(op)}, found ${listed(present, MAX_PRESENT).join(', ')}`
    }
    case 'del':
      return `${path}: not removed: ${subjectText(op)}`
    default:
      throw op satisfies never
  }
}
