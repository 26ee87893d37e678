import { isObject, type NetConf } from '../cni/request.ts'
import { Code, listed, refusal } from '../errors.ts'
import { isWithin, parsePrefix, prefixesAroundIn } from '../net/address.ts'
import { ATTRIBUTE_NAMES, ATTRIBUTES } from '../net/attributes.ts'
import { type Config, parseConfig, type ReadConfig, readConfig, withoutNulls } from './config.ts'
import { isKnown } from './misnamed-keys.ts'
import { type ReadSet, type Sets, setsOf, UNKNOWN_SETS } from './route-sets.ts'
import { CONF, OVERRIDABLE, OVERRIDES, OVERRIDES_KEYS, SOURCE_ROUTING_KEYS } from './schema.ts'

const NEVER = ['overrides', 'setsDir', 'logLevel', 'logFile'] as const
const KEYS = [...OVERRIDABLE, ...NEVER]
const NOT_FOR_PODS = 'a pod cannot set this'

/**
 * The configuration, changed by `args.cni` (Multus: the cni-args of a pod's annotation) as far as the operator's
 * `overrides` allow. Multus passes the same `args.cni` to every plugin of a chain, so keys that are not ours are
 * ignored.
 * @throws CniError 120 for what is not allowed, 7 for what is invalid, 11 if a set is not there yet
 */
export function effectiveConfig(conf: NetConf, readSet: ReadSet): Config {
  const read = readEffective(conf, readSet)
  if ('config' in read) return read.config
  throw refusal(read.code, read.problems)
}

/** As `effectiveConfig`, or its problems one by one: those of the configuration, then those of `args.cni`. */
export function readEffective(
  conf: NetConf,
  readSet: ReadSet,
): { readonly config: Config } | { readonly code: Code; readonly problems: readonly string[] } {
  const sets = setsOf(conf, readSet)
  const asked = askedBy(conf)
  const wanted = KEYS.filter((key) => Object.hasOwn(asked, key))
  const replaced = wanted.includes('routes')
  // Sets that the pod does not use need not be there.
  const own = readConfig(conf, [], replaced ? undefined : sets)
  const { code, problems, later, theirs } = readAsked(conf, asked, wanted, sets)
  const wrong = [...own.problems, ...problems]
  const notYet = [...own.later, ...later]
  if (wrong.length > 0)
    return { code: own.problems.length > 0 ? Code.invalidConfig : code, problems: [...wrong, ...notYet] }
  if (!own.config || notYet.length > 0) return { code: Code.tryAgainLater, problems: notYet }
  if (wanted.length === 0) return { config: own.config }
  // Parsed again as a whole: keys that are valid one by one may contradict each other. The pod's routes keep their key
  // path.
  const taken = wanted.map((key) => [key, key === 'sourceRouting' ? withOwnNumbers(asked[key], conf[key]) : asked[key]])
  const merged = parseConfig({ ...conf, ...Object.fromEntries(taken) })
  return { config: { ...merged, routes: (replaced && theirs?.config ? theirs.config : own.config).routes } }
}

/** What a pod asks for, and what is wrong with that. */
interface Asked {
  readonly code: Code
  readonly problems: readonly string[]
  readonly later: readonly string[]
  readonly theirs?: ReadConfig
}

/** Checks what a pod asks for. */
function readAsked(
  conf: NetConf,
  asked: Readonly<Record<string, unknown>>,
  wanted: readonly string[],
  sets: Sets,
): Asked {
  const otherCase = otherCases(asked)
  // If `overrides` itself is invalid, nobody knows what it allows.
  const overrides =
    wanted.length > 0 ? OVERRIDES.safeParse(withoutNulls(conf.overrides ?? {}, OVERRIDES_KEYS)).data : undefined
  if (!overrides) return { code: Code.invalidConfig, problems: otherCase, later: [] }
  const { allow = [], within = [] } = overrides
  const allowed = (key: string) => allow.some((one) => one === key)
  const forbidden = wanted
    .filter((key) => !allowed(key))
    .map((key) => `args.cni.${key}: not in "overrides.allow" of the network configuration`)
  const mayAsk = Object.fromEntries(wanted.filter(allowed).map((key) => [key, asked[key]]))
  const theirs = readConfig(mayAsk, ['args', 'cni'], sets)
  const outside = [...outsideOf(within, theirs), ...ownTables(mayAsk)]
  const code = forbidden.length + outside.length > 0 ? Code.overrideNotAllowed : Code.invalidConfig
  const problems = [...forbidden, ...outside, ...theirs.problems, ...otherCase]
  return { code, problems, later: theirs.later, theirs }
}

/** How many prefixes a message lists: there may be a thousand. */
const MAX_LISTED = 10

/** What a pod asks for beyond `overrides.within`. */
function outsideOf(within: readonly string[], { entries, gateway }: ReadConfig): string[] {
  const problems: string[] = []
  const prefixesAround = prefixesAroundIn(new Set(within.map((outer) => parsePrefix(outer)?.network ?? outer)))
  const inside = (inner: string) => {
    const [address = ''] = inner.split('/')
    return prefixesAround(address).some((outer) => isWithin(inner, outer))
  }
  const outside = `outside "overrides.within" (${listed(within, MAX_LISTED).join(', ') || 'none'})`
  for (const { path, dst, expansion, gw, dev, given, attributes } of entries) {
    if (dst !== undefined && !inside(dst)) problems.push(`${path}.dst: ${dst} is ${outside}`)
    for (const { dst, line } of expansion?.routes ?? [])
      if (!inside(dst)) problems.push(`${path}.set: ${expansion?.file}:${line}: ${dst} is ${outside}`)
    if (gw !== undefined && !inside(gw)) problems.push(`${path}.gw: ${gw} is ${outside}`)
    if (dev !== undefined) problems.push(`${path}.dev: ${NOT_FOR_PODS}; its routes use its NIC`)
    if (given?.table !== undefined) problems.push(`${path}.table: ${NOT_FOR_PODS}; its routes use the main table`)
    for (const name of ATTRIBUTE_NAMES)
      if (ATTRIBUTES[name].notForPods && attributes?.[name] !== undefined)
        problems.push(`${path}.${name}: ${NOT_FOR_PODS}; write it in the network configuration`)
  }
  if (gateway?.dev !== undefined) problems.push(`args.cni.ovnGateway.dev: ${NOT_FOR_PODS}; its routes use its NIC`)
  for (const one of Object.values(gateway?.wanted ?? {})) {
    if (one !== 'auto' && !inside(one.address)) problems.push(`args.cni.ovnGateway: ${one.address} is ${outside}`)
  }
  return problems
}

/** What a pod asks for in `sourceRouting`, with the numbers of the operator. */
function withOwnNumbers(asked: unknown, own: unknown): unknown {
  return (asked === true || isObject(asked)) && isObject(own) ? own : asked
}

/** Numbers of tables and rules are the operator's. */
function ownTables({ sourceRouting }: Readonly<Record<string, unknown>>): string[] {
  const written = isObject(sourceRouting) ? withoutNulls(sourceRouting, SOURCE_ROUTING_KEYS) : {}
  return Object.keys(SOURCE_ROUTING_KEYS)
    .filter((key) => Object.hasOwn(written, key))
    .map((key) => `args.cni.sourceRouting.${key}: ${NOT_FOR_PODS}; write true`)
}

/**
 * Keys that differ from ours only in their capitals. Ignoring one would silently not do what was asked for, and it
 * cannot be another plugin's: Go does not tell capitals apart. A key that merely resembles ours may well be another
 * plugin's.
 */
function otherCases(asked: Readonly<Record<string, unknown>>): string[] {
  const ours = Object.keys(asked).flatMap((key) => {
    const meant =
      key.length <= MAX_LENGTH ? KEYS.find((one) => one !== key && one.toLowerCase() === key.toLowerCase()) : undefined
    return meant === undefined ? [] : { key, meant }
  })
  return ours.map(({ key, meant }) => `args.cni.${key}: unknown key; did you mean "${meant}"?`)
}

const MAX_LENGTH = Math.max(...KEYS.map((key) => key.length))

/** What `args.cni` asks for, unchecked. A key that is null asks for nothing. */
function askedBy({ args }: NetConf): Readonly<Record<string, unknown>> {
  return isObject(args) && isObject(args.cni) ? withoutNulls(args.cni, CONF._zod.def.shape) : {}
}

/**
 * A configuration without keys that were never ours. An older release may have accepted them in ADD, so DEL must not
 * refuse them.
 */
export function onlyKnown(conf: NetConf): NetConf {
  const asked = Object.entries(askedBy(conf)).filter(([key]) => KEYS.some((ours) => ours === key))
  const known = Object.entries(conf).filter(([key]) => isKnown(key))
  return { ...Object.fromEntries(known), args: { cni: Object.fromEntries(asked) } }
}

/**
 * True if ADD was dry, so that there is nothing to remove. If ADD refused the configuration, its own `dryRun` counts.
 */
export function isDry(conf: NetConf): boolean {
  if (conf.dryRun !== true && askedBy(conf).dryRun !== true) return false
  try {
    return effectiveConfig(onlyKnown(conf), UNKNOWN_SETS).dryRun
  } catch {
    return conf.dryRun === true
  }
}
