import type { Config } from '../config/config.ts'
import { familyOf } from '../net/address.ts'
import { ifnameProblem } from '../net/ifname.ts'
import type { Link } from '../net/link.ts'
import { devicesOf, MAIN_TABLE, type Origin, PROTOCOL, type Snapshot } from '../net/route.ts'
import { isOurRule, type Rule, type RuleOp, sameRule } from '../net/rule.ts'
import { bridgeName } from './kubevirt.ts'
import { lastingAddresses, ORIGIN, tableByName, tableOf } from './nic-table.ts'

/** The rules that lead what a NIC sends to its table. */

/**
 * KubeVirt's masquerade binding: the guest's packets are routed before they get the address of the NIC.
 * @see https://github.com/kubevirt/kubevirt/blob/main/pkg/network/link/address.go GenerateMasqueradeGatewayAndVmIPAddrs
 */
const GUESTS = { 4: '10.0.2.0/24', 6: 'fd10:0:2::/120' } as const

/** The operations that lead what is sent from the NIC's addresses to its table, and nothing else. */
export function planRules({ sourceRouting, kubevirt }: Config, nic: Link, { rules = [] }: Snapshot): RuleOp[] {
  if (!sourceRouting) return []
  const table = tableOf(nic.ifname, sourceRouting)
  const { priority } = sourceRouting
  const addresses = lastingAddresses(nic)
  const ruleFrom = (from: string, iif?: string): Rule => ({
    family: familyOf(from),
    priority,
    from,
    ...(iif === undefined ? {} : { iif }),
    table,
    protocol: PROTOCOL,
  })
  const bridge = bridgeName(nic.ifname)
  // There is no bridge for a NIC with a longer name than KubeVirt gives.
  const families = kubevirt && ifnameProblem(bridge) === undefined ? [...new Set(addresses.map(familyOf))] : []
  const wanted = [
    ...addresses.map((address) => ruleFrom(`${address}/${familyOf(address) === 4 ? 32 : 128}`)),
    ...families.map((family) => ruleFrom(GUESTS[family], bridge)),
  ]
  const present = rules.filter((rule) => rule.table === table && isOurRule(rule))
  return [
    ...wanted
      .filter((rule) => !present.some((one) => sameRule(one, rule)))
      .map((rule): RuleOp => ({ op: 'add', rule, origin: ORIGIN })),
    ...removals(
      present.filter((rule) => !wanted.some((one) => sameRule(one, rule))),
      ORIGIN,
    ),
  ]
}

function removals(rules: readonly Rule[], origin: Origin): RuleOp[] {
  return rules.map((rule) => ({ op: 'del', rule, origin }))
}

/**
 * The operations that remove our rules for a NIC, which may be gone.
 * @param tables those that the configuration names
 */
export function removeRules(
  ifname: string,
  tables: readonly number[],
  { routes, rules = [] }: Snapshot,
  origin: Origin,
): RuleOp[] {
  const ours = rules.filter(isOurRule)
  if (ours.length === 0) return []
  const isOfNic = new Set(tables)
  // One that the configuration does not name any more holds routes of this NIC alone. One that holds only those of others
  // is another NIC's, although the configuration names it: ADD was refused.
  const inTable = Map.groupBy(
    routes.filter(({ protocol, table }) => protocol === PROTOCOL && table !== MAIN_TABLE),
    ({ table }) => table,
  )
  for (const [table, present] of inTable) {
    const own = present.filter(({ dev }) => dev === ifname)
    if (own.length === present.length) isOfNic.add(table)
    else if (own.length === 0) isOfNic.delete(table)
  }
  isOfNic.add(tableByName(ifname))
  return removals(
    ours.filter(({ table }) => isOfNic.has(table)),
    origin,
  )
}

/**
 * Whether there may be rules of IPv6: without routes, there are no addresses that they could be for. Every NIC has
 * link-local and multicast routes, also in a pod without an IPv6 address.
 */
export function mayHaveRules6({ routes, leftOut }: Pick<Snapshot, 'routes' | 'leftOut'>): boolean {
  return (
    leftOut !== undefined ||
    routes.some((route) => route.family === 6 && route.dev !== 'lo' && !LINK_ONLY.test(route.dst))
  )
}

const LINK_ONLY = /^f(e80|f00):/

/** Whether DEL looks for rules of IPv6: those for a NIC that is gone are still there. */
export function mayHaveLeftRules6(ifname: string): (snapshot: Snapshot) => boolean {
  return (snapshot) => mayHaveRules6(snapshot) || !snapshot.routes.some((route) => devicesOf(route).includes(ifname))
}

/** Tells whether IPv6 rules matter, in a pod; undefined if no rules do. */
export function rules6For(
  { sourceRouting }: Pick<Config, 'sourceRouting'>,
  ifname: string,
): ((snapshot: Snapshot) => boolean) | undefined {
  if (!sourceRouting) return undefined
  return ({ links }) =>
    links.some((link) => link.ifname === ifname && lastingAddresses(link).some((one) => familyOf(one) === 6))
}
