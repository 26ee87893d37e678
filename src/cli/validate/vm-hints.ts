import type { Config, ConfiguredRoute } from '../../config/config.ts'
import { DEFAULT_DST, MAIN_TABLE } from '../../net/route.ts'
import { inDumpOrder, ON_LINK, tooLong, unreachableInOrder } from '../../plan/kubevirt.ts'
import { isExplicit } from '../../plan/next-hop.ts'
import { FIRST_GATEWAY, isCutShort } from '../dhcp.ts'
import type { FindingCode } from './codes.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'

/** Reports what the bridge binding makes of a VM's routes, as far as the configuration alone can tell. */
export function vmHints({ routes, defaultRoute }: Config, afterCalico: boolean, say: Say): void {
  if (defaultRoute[4] === 'demote') {
    say('XCR601', ['defaultRoute'], 'KubeVirt hands a demoted IPv4 default route to the VM as its default route')
  }
  const handed = [
    ...(afterCalico ? [{ dst: `${CALICO}/32`, gw: ON_LINK, priority: 0 }] : []),
    ...(defaultRoute[4] === 'remove' ? [] : [{ dst: DEFAULT_DST[4], gw: CALICO, priority: 0 }]),
    ...routes.filter(isHanded).map((route) => ({ dst: route.dst, gw: hopOf(route), priority: route.priority ?? 0 })),
  ]
  const dsts = handed.map(({ dst }) => dst)
  const tooMany = tooLong(dsts, 'that a VM gets')
  if (tooMany !== undefined) say('XCR602', ['routes'], tooMany)
  const ordered = afterCalico && tooMany === undefined ? inDumpOrder(handed) : []
  const late = new Set(unreachableInOrder({ classlessRoutes: ordered }, UNKNOWN))
  const told = new Set<string>()
  /** Of a set, the first prefix stands for all of its family. */
  const once = ({ path, family }: ConfiguredRoute) => told.size < told.add(`${path} ${family}`).size
  for (const route of routes.filter(once)) {
    const path: Path = ['routes', Number(/\d+/.exec(route.path))]
    const found = hint(route, late)
    if (found) say(found.code, path, found.says)
  }
}

function hint(
  route: ConfiguredRoute,
  late: ReadonlySet<string>,
): { readonly code: FindingCode; readonly says: string } | undefined {
  if (route.family === 6)
    return {
      code: 'XCR603',
      says: 'KubeVirt hands no IPv6 routes to a VM; write them in its cloud-init network configuration',
    }
  if (route.table !== MAIN_TABLE)
    return { code: 'XCR604', says: 'KubeVirt hands only routes of the main table to a VM' }
  if (late.has(route.dst))
    return {
      code: 'XCR605',
      says: `DHCP clients that apply routes in order refuse this one: the route to its gateway comes later; ${FIRST_GATEWAY}`,
    }
  return isCutShort({ dst: route.dst, gw: hopOf(route) })
    ? {
        code: 'XCR605',
        says: `dhcpcd 9 in the VM makes a route to a single address of this one; ${FIRST_GATEWAY}`,
      }
    : undefined
}

/** Calico's gateway, which its link route leads to. */
const CALICO = '169.254.1.1'
/** The VM's address, which the configuration does not say. */
const UNKNOWN = '255.255.255.255/32'

const isHanded = ({ family, table }: ConfiguredRoute) => family === 4 && table === MAIN_TABLE
const hopOf = (route: ConfiguredRoute) => route.gw ?? (isExplicit(route) ? ON_LINK : CALICO)
