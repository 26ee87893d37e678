import { isObject, type NetConf, type Request } from '../cni/request.ts'
import type { Config } from '../config/config.ts'
import { effectiveConfig, isDry, onlyKnown } from '../config/overrides.ts'
import { type ReadSet, UNKNOWN_SETS } from '../config/route-sets.ts'
import { CniError, Code, messageOf, TooMuch } from '../errors.ts'
import { type Change, changeRoutes } from '../kernel/change.ts'
import { converse, type Failure, runAlone } from '../kernel/ip.ts'
import type { Netns } from '../kernel/netns.ts'
import { commandText, delLine, delRuleLine, flushArgs } from '../net/iproute2.ts'
import { GATEWAY_PROTOCOL, type Op, PROTOCOL, type Snapshot } from '../net/route.ts'
import { neededToDel } from '../plan/needed.ts'
import { tableOf } from '../plan/nic-table.ts'
import { planDel } from '../plan/plan.ts'
import { mayHaveLeftRules6 } from '../plan/source-rules.ts'
import type { Outcome } from './outcome.ts'
import type { Outside } from './outside.ts'
import { refuseOwn } from './refusals.ts'

/** For an ordinary pod; and for one that holds too much to be read. With 10 s for stdin, 30 s in all. */
const LIMIT_MS = 10_000
const LONG_LIMIT_MS = 20_000

/**
 * Removes our routes from the NIC, if it still exists. Everything else counts as success: if DEL failed, the runtime
 * would not call the previous plugins, and their interfaces and addresses would leak.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#del-remove-container-from-network-or-un-apply-modifications
 */
export async function del(request: Request & { verb: 'DEL' }, { withNetns, readSet }: Outside): Promise<Outcome> {
  // A dry ADD made no routes, and a dry DEL removes none.
  if (request.netns === '' || isDry(request.conf)) return {}
  try {
    return await withNetns(request.netns, LONG_LIMIT_MS, async (netns) => {
      refuseOwn(request, netns)
      return removeRoutes(netns, request, readSet)
    })
  } catch (error) {
    if (error instanceof CniError && error.code === Code.ownNetns) throw error
    // A pod's namespace is normally gone by now: not worth a record.
    const gone = error instanceof CniError && error.code === Code.invalidEnvironment
    return gone ? {} : { warning: `routes not removed: ${messageOf(error)}` }
  }
}

async function removeRoutes(
  netns: Netns,
  { conf, ifname }: Request & { verb: 'DEL' },
  readSet: ReadSet,
): Promise<Outcome> {
  const asked = () => configured(conf, readSet)
  const warnings: string[] = []
  const decide = (snapshot: Snapshot) => {
    if (snapshot.tooManyDefaults && warnings.length === 0)
      warnings.push('the default routes are unchanged: the pod has too many')
    return planDel(asked, ifname, snapshot)
  }
  const mayHave = mayHaveLeftRules6(ifname)
  const rules6 = mayAskForRules(conf) ? (snapshot: Snapshot) => hadIpv6(conf) || mayHave(snapshot) : undefined
  const change: Change = { decide, bounds: neededToDel(asked, ifname), onFailure: 'leave', rules6 }
  const ordinary = { ...netns, until: netns.until - LONG_LIMIT_MS + LIMIT_MS }
  const done: string[] = []
  try {
    done.push(...(await changeRoutes(ordinary, change)).map(commandText))
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    warnings.unshift(...(await removeUnseen(netns, ifname, { ...asked(), rules: rules6 !== undefined }, error)))
    // What is left may be little enough to be read.
    await changeRoutes(netns, change).then(
      (ops) => done.push(...ops.map(commandText)),
      () => {}, // DEL still succeeds, and the warning already says why
    )
  }
  return { routes: done, ...(warnings.length > 0 ? { warning: warnings.join('; ') } : {}) }
}

/**
 * Removes our routes without reading the pod's. The kernel finds them by protocol and NIC; in case it fails at one of
 * them, those of the configuration are deleted by name as well. @returns what to report
 */
async function removeUnseen(
  netns: Netns,
  ifname: string,
  { routes, sourceRouting, rules }: Pick<Config, 'routes' | 'sourceRouting'> & { readonly rules: boolean },
  { message }: TooMuch,
): Promise<string[]> {
  const failures: string[] = []
  if (rules) failures.push(...(await removeRulesUnseen(netns, tableOf(ifname, sourceRouting))))
  for (const words of [PROTOCOL, GATEWAY_PROTOCOL].map((protocol) => flushArgs(protocol, ifname))) {
    const failure = await runAlone(netns, words)
    if (failure) failures.push(`ip ${words.join(' ')}: ${messageOf(failure.error ?? failure.stderr)}`)
  }
  const named = routes.map((route) => delLine(route, route.dev ?? ifname))
  // Deleting a route that is already gone fails, and ip(8) goes on with the next.
  if (named.length > 0) await converse(netns, 'go on', ({ tell }) => tell(named, undefined))
  const told = `the kernel was told to remove the routes of protocol ${PROTOCOL} and ${GATEWAY_PROTOCOL} on ${ifname}`
  return [`the pod's routes could not be read: ${message}; ${told}, and those of the configuration`, ...failures]
}

/** `ip rule flush` takes 3 KB of memory for each rule that it deletes, so a batch must not be long either. */
const RULES_AT_ONCE = 5000

/** Removes our rules to a table, one after the other, until there is none. @returns why it could not, in each family */
async function removeRulesUnseen(netns: Netns, table: number): Promise<string[]> {
  const lines = Array.from({ length: RULES_AT_ONCE }, () => delRuleLine(table))
  const failures: string[] = []
  for (const options of [[], ['-6']]) {
    let failure: Failure | undefined
    do ({ failure } = await converse(netns, 'stop', ({ tell }) => tell(lines, undefined), options))
    while (!failure)
    const { error, stderr } = failure
    if (error !== undefined || !/No such file/.test(stderr))
      failures.push(`ip ${[...options, delRuleLine(table)].join(' ')}: ${messageOf(error ?? stderr)}`)
  }
  return failures
}

/** Whether ADD may have made rules: only then are any looked for. */
function mayAskForRules(conf: NetConf): boolean {
  const { args } = conf
  const asked = isObject(args) && isObject(args.cni) ? args.cni.sourceRouting : undefined
  return Boolean(conf.sourceRouting) || Boolean(asked)
}

/** Whether the previous plugin reported an IPv6 address: a NIC that has been down has lost it, but not our rule. */
function hadIpv6({ prevResult }: NetConf): boolean {
  const { ips } = isObject(prevResult) ? prevResult : {}
  return Array.isArray(ips) && ips.some((ip) => isObject(ip) && String(ip.address).includes(':'))
}

/** What DEL does if the kernel holds `snapshot`. */
export function decideDel(conf: NetConf, ifname: string, snapshot: Snapshot, readSet: ReadSet): readonly Op[] {
  return planDel(() => configured(conf, readSet), ifname, snapshot)
}

/**
 * What the configuration asks for. Nothing if it is invalid: ADD refused it, and made no routes. A set that cannot be read
 * any more, or does not fit any more, is left out.
 */
function configured(conf: NetConf, readSet: ReadSet): Pick<Config, 'routes' | 'gateway' | 'sourceRouting'> {
  const ifReadable: ReadSet = (directory, name) => {
    const read = readSet(directory, name)
    return read && 'problems' in read ? undefined : read
  }
  for (const sets of [ifReadable, UNKNOWN_SETS]) {
    try {
      return effectiveConfig(onlyKnown(conf), sets)
    } catch {
      // without sets then, or with nothing
    }
  }
  return { routes: [] }
}
