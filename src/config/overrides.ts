import { isObject, type NetConf } from '../cni/request.ts'
import { Code, listed, refusal } from '../errors.ts'
import { isWithin } from '../net/address.ts'
import { type Config, parseConfig, type Read, readConfig, withoutNulls } from './config.ts'
import { CONF, OVERRIDABLE, OVERRIDES, OVERRIDES_KEYS } from './schema.ts'
import { isKnown } from './strange-keys.ts'

const NEVER = ['overrides', 'logLevel', 'logFile'] as const
const KEYS = [...OVERRIDABLE, ...NEVER]
const NOT_FOR_PODS = 'not for a pod to choose; routes are those of'

/**
 * The configuration with what `args.cni` changes of it (Multus: the cni-args of a pod's annotation), as far as the
 * operator's `overrides` allow. Multus hands the same `args.cni` to every plugin of a chain: keys that are not ours
 * are none of our business.
 * @throws CniError 120 naming what is not allowed, 7 for a key that is wrong in itself
 */
export function effectiveConfig(conf: NetConf): Config {
  const read = readEffective(conf)
  if ('config' in read) return read.config
  throw refusal(read.code, read.problems)
}

/** The same, and its problems one by one: those of the configuration first, then those of `args.cni`. */
export function readEffective(
  conf: NetConf,
): { readonly config: Config } | { readonly code: Code; readonly problems: readonly string[] } {
  const own = readConfig(conf)
  const asked = askedBy(conf)
  const wanted = KEYS.filter((key) => Object.hasOwn(asked, key))
  const { code, problems, theirs } = readAsked(conf, asked, wanted)
  if ('problems' in own) return { code: Code.invalidConfig, problems: [...own.problems, ...problems] }
  if (problems.length > 0) return { code, problems }
  if (wanted.length === 0) return { config: own.config }
  // Parsed once more as a whole: what was fine by itself may contradict the rest. Their routes keep the path they
  // have.
  const merged = parseConfig({ ...conf, ...Object.fromEntries(wanted.map((key) => [key, asked[key]])) })
  const routes = theirs && 'config' in theirs && 'routes' in asked ? { routes: theirs.config.routes } : {}
  return { config: { ...merged, ...routes } }
}

/** What is wrong with what a pod asks for. */
function readAsked(
  conf: NetConf,
  asked: Readonly<Record<string, unknown>>,
  wanted: readonly string[],
): { readonly code: Code; readonly problems: readonly string[]; readonly theirs?: Read } {
  const otherCase = otherCases(asked)
  // Where `overrides` itself is wrong nobody knows what it allows.
  const overrides =
    wanted.length > 0 ? OVERRIDES.safeParse(withoutNulls(conf.overrides ?? {}, OVERRIDES_KEYS)).data : undefined
  if (!overrides) return { code: Code.invalidConfig, problems: otherCase }
  const { allow = [], within = [] } = overrides
  const allowed = (key: string) => allow.some((one) => one === key)
  const forbidden = wanted
    .filter((key) => !allowed(key))
    .map((key) => `args.cni.${key}: not in "overrides.allow" of the network configuration`)
  const theirs = readConfig(Object.fromEntries(wanted.filter(allowed).map((key) => [key, asked[key]])), ['args', 'cni'])
  const outside = outsideOf(within, theirs)
  const code = forbidden.length + outside.length > 0 ? Code.overrideNotAllowed : Code.invalidConfig
  const wrong = 'problems' in theirs ? theirs.problems : []
  return { code, problems: [...forbidden, ...outside, ...wrong, ...otherCase], theirs }
}

/** There may be a thousand. */
const MOST_LISTED = 10

/** What of somebody's routes and gateway goes further than `overrides.within`. */
function outsideOf(within: readonly string[], { routes, gateway }: Read): string[] {
  const problems: string[] = []
  const inside = (inner: string) => within.some((outer) => isWithin(inner, outer))
  const outside = `outside of "overrides.within" (${listed(within, MOST_LISTED).join(', ') || 'none'})`
  for (const { key, dst, gw, dev, given } of routes) {
    if (dst !== undefined && !inside(dst)) problems.push(`${key}.dst: ${dst} is ${outside}`)
    if (gw !== undefined && !inside(gw)) problems.push(`${key}.gw: ${gw} is ${outside}`)
    if (dev !== undefined) problems.push(`${key}.dev: ${NOT_FOR_PODS} the NIC`)
    if (given?.table !== undefined) problems.push(`${key}.table: ${NOT_FOR_PODS} the main table`)
  }
  if (gateway?.dev !== undefined) problems.push(`args.cni.ovnGateway.dev: ${NOT_FOR_PODS} the NIC`)
  for (const one of Object.values(gateway?.ask ?? {})) {
    if (one !== 'auto' && !inside(one.address)) problems.push(`args.cni.ovnGateway: ${one.address} is ${outside}`)
  }
  return problems
}

/**
 * A key of ours but for its capitals. Nobody else's can be told from ours by them, since Go does not tell capitals
 * apart; ignored, what was asked for would not be done. What merely resembles ours is for others to read.
 */
function otherCases(asked: Readonly<Record<string, unknown>>): string[] {
  const ours = Object.keys(asked).flatMap((key) => {
    const meant =
      key.length <= LONGEST ? KEYS.find((one) => one !== key && one.toLowerCase() === key.toLowerCase()) : undefined
    return meant === undefined ? [] : { key, meant }
  })
  return ours.map(({ key, meant }) => `args.cni.${key}: unknown key; did you mean "${meant}"?`)
}

const LONGEST = Math.max(...KEYS.map((key) => key.length))

/** What `args.cni` asks for: nothing is known of it. What is null is not asked for. */
function askedBy({ args }: NetConf): Readonly<Record<string, unknown>> {
  return isObject(args) && isObject(args.cni) ? withoutNulls(args.cni, CONF._zod.def.shape) : {}
}

/**
 * A configuration without keys that were never ours. ADD of an older plugin may have taken it with them, so that DEL goes by
 * the rest.
 */
export function onlyKnown(conf: NetConf): NetConf {
  const asked = Object.entries(askedBy(conf)).filter(([key]) => KEYS.some((ours) => ours === key))
  const known = Object.entries(conf).filter(([key]) => isKnown(key))
  return { ...Object.fromEntries(known), args: { cni: Object.fromEntries(asked) } }
}

/** True where ADD was dry, so that there is nothing to take back. Of a configuration that ADD would have refused: as it says itself. */
export function isDry(conf: NetConf): boolean {
  if (conf.dryRun !== true && askedBy(conf).dryRun !== true) return false
  try {
    return effectiveConfig(onlyKnown(conf)).dryRun
  } catch {
    return conf.dryRun === true
  }
}
