import { isWithin } from './address.ts'
import { type Config, parseConfig } from './config.ts'
import { Code, refusal } from './errors.ts'
import { isObject, type NetConf } from './request.ts'
import { OVERRIDABLE } from './schema.ts'

const NEVER = ['overrides', 'logLevel', 'logFile'] as const

/**
 * The configuration with what `args.cni` changes of it (Multus: the cni-args of a pod's annotation), as far as the
 * operator's `overrides` allow. Multus hands the same `args.cni` to every plugin of a chain: keys that are not ours
 * are none of our business.
 * @throws CniError 120 naming what is not allowed, 7 for a key that is wrong in itself
 */
export function effectiveConfig(conf: NetConf): Config {
  const own = parseConfig(conf)
  const args = askedBy(conf)
  const wanted = [...OVERRIDABLE, ...NEVER].filter((key) => args[key] !== undefined)
  if (wanted.length === 0) return own

  const { allow = [], within = [] } = (conf.overrides ?? {}) as { allow?: string[]; within?: string[] }
  const problems = wanted
    .filter((key) => !allow.includes(key))
    .map((key) => `args.cni.${key}: not in "overrides.allow" of the network configuration`)
  if (problems.length === 0) {
    const theirs = parseConfig(args, ['args', 'cni'])
    const inside = (inner: string) => within.some((outer) => isWithin(inner, outer))
    const outside = `outside of "overrides.within" (${within.join(', ') || 'none'})`
    for (const { key, dst, gw, dev, given } of theirs.routes) {
      if (!inside(dst)) problems.push(`${key}.dst: ${dst} is ${outside}`)
      if (gw !== undefined && !inside(gw)) problems.push(`${key}.gw: ${gw} is ${outside}`)
      if (dev !== undefined) problems.push(`${key}.dev: not for a pod to choose; routes are those of the NIC`)
      if (given.table !== undefined)
        problems.push(`${key}.table: not for a pod to choose; routes are those of the main table`)
    }
    if (theirs.gateway?.dev !== undefined)
      problems.push('args.cni.ovnGateway.dev: not for a pod to choose; routes are those of the NIC')
    for (const asked of Object.values(theirs.gateway?.ask ?? {})) {
      if (asked !== 'auto' && !inside(asked.address))
        problems.push(`args.cni.ovnGateway: ${asked.address} is ${outside}`)
    }
    if (problems.length === 0) {
      // Parsed once more as a whole: what was fine by itself may contradict the rest. Their routes keep the path they
      // have.
      const merged = parseConfig({ ...conf, ...Object.fromEntries(wanted.map((key) => [key, args[key]])) })
      return args.routes === undefined ? merged : { ...merged, routes: theirs.routes }
    }
  }
  throw refusal(Code.overrideNotAllowed, problems)
}

/** What `args.cni` asks for: nothing is known of it. */
function askedBy({ args }: NetConf): Readonly<Record<string, unknown>> {
  return isObject(args) && isObject(args.cni) ? args.cni : {}
}

/** True where ADD was dry, so that there is nothing to take back. Of a configuration that ADD would have refused: as it says itself. */
export function isDry(conf: NetConf): boolean {
  if (conf.dryRun !== true && askedBy(conf).dryRun !== true) return false
  try {
    return effectiveConfig(conf).dryRun
  } catch {
    return conf.dryRun === true
  }
}
