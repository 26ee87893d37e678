import * as z from 'zod/mini'
import { familyOf, parseAddress, parsePrefix } from './address.ts'
import { quote } from './errors.ts'
import { list } from './explain.ts'
import { batchProblem, ifnameProblem } from './ifname.ts'
import { Scope } from './route.ts'

// zod otherwise compiles each schema to a function by eval on first use: time lost in a process that parses once.
z.config({ jitless: true })

const UINT32 = 4294967295
export const SCOPES: Readonly<Record<string, number>> = { ...Scope, universe: Scope.global }

/** A schema for strings; `problem` says what is wrong with a value, or undefined. */
const text = (problem: (value: string) => string | undefined) =>
  z.string().check((ctx) => {
    const message = problem(ctx.value)
    if (message !== undefined) ctx.issues.push({ code: 'custom', input: ctx.value, message })
  })

const integer = (min: number, max: number) =>
  z.number().check((ctx) => {
    const { value } = ctx
    if (Number.isInteger(value) && value >= min && value <= max) return
    ctx.issues.push({ code: 'custom', input: value, message: `must be an integer from ${min} to ${max}, is ${value}` })
  })

const address = text((value) =>
  parseAddress(value)
    ? undefined
    : `${quote(value)} is no IP address; write one without prefix length, such as 10.50.0.1`,
)

const dst = text((value) => {
  const prefix = parsePrefix(value)
  if (prefix) {
    const { length, network } = prefix
    return `${prefix.address}/${length}` === network ? undefined : `${quote(value)} has host bits set; write ${network}`
  }
  if (parseAddress(value)) {
    return `${quote(value)} has no prefix length; write ${value}/${familyOf(value) === 4 ? 32 : 128} for this one host`
  }
  return `${quote(value)} is no IP prefix; write one such as 10.50.0.0/16 or fd00:10:50::/48`
})

const ifname = text((value) => {
  const problem = ifnameProblem(value) ?? batchProblem(value)
  return problem && `${quote(value)} ${problem}`
})

const scope = z.union([
  integer(0, 255),
  text((value) =>
    Object.hasOwn(SCOPES, value)
      ? undefined
      : `must be ${list(Object.keys(Scope))} or a number from 0 to 255, is ${quote(value)}`,
  ),
])

export const ROUTE_KEYS = {
  dst,
  gw: z.optional(address),
  dev: z.optional(ifname),
  src: z.optional(address),
  priority: z.optional(integer(0, UINT32)),
  table: z.optional(integer(0, UINT32)),
  scope: z.optional(scope),
  // More than this the kernel cuts down to it: net/ipv4/metrics.c, ip_metrics_convert.
  mtu: z.optional(integer(68, 65520)),
  advmss: z.optional(integer(1, 65495)),
  onlink: z.optional(z.boolean()),
}
const DISPOSITION = z.enum(['remove', 'demote', 'keep'])
export const DISPOSITION_KEYS = { ipv4: z.optional(DISPOSITION), ipv6: z.optional(DISPOSITION) }

/** An absolute path of a file that leads nowhere else. */
export function isLogPath(path: string): boolean {
  return path.startsWith('/') && path.length < 4096 && !path.endsWith('/') && !path.split('/').includes('..')
}

/** One entry of `routes`, by itself. */
export const ROUTE = z.strictObject(ROUTE_KEYS)

const autoOrAddress = text((value) =>
  value === 'auto' || parseAddress(value) ? undefined : `must be "auto" or an IP address, is ${quote(value)}`,
)
export const GATEWAY_KEYS = {
  ipv4: z.optional(autoOrAddress),
  ipv6: z.optional(autoOrAddress),
  dev: z.optional(ifname),
  priority: z.optional(integer(0, UINT32)),
  onlink: z.optional(z.boolean()),
}

/** More in one configuration is a mistake, or an attack: each route is a line to ip(8) and twice a line from it. */
export const MOST_ROUTES = 10_000
export const MOST_PREFIXES = 1_000

const atMost = (most: number) => (ctx: { value: unknown[]; issues: z.core.$ZodRawIssue[] }) => {
  const { length } = ctx.value
  if (length > most)
    ctx.issues.push({ code: 'custom', input: length, message: `has ${length} entries; ${most} are the most` })
}

/** What `overrides.allow` may list: nothing that decides where root writes, or who decides. */
export const OVERRIDABLE = ['defaultRoute', 'routes', 'ovnGateway', 'kubevirt', 'dryRun'] as const
export const OVERRIDES_KEYS = {
  allow: z.optional(z.array(z.enum(OVERRIDABLE))),
  within: z.optional(z.array(dst).check(atMost(MOST_PREFIXES))),
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Our keys of a network configuration, the entries of `routes` unread. */
export const CONF = z.looseObject({
  defaultRoute: z.optional(z.union([DISPOSITION, z.strictObject(DISPOSITION_KEYS)])),
  routes: z.optional(z.array(z.unknown()).check(atMost(MOST_ROUTES))),
  ovnGateway: z.optional(z.union([autoOrAddress, z.strictObject(GATEWAY_KEYS)])),
  overrides: z.optional(z.strictObject(OVERRIDES_KEYS)),
  kubevirt: z.optional(z.boolean()),
  dryRun: z.optional(z.boolean()),
  logLevel: z.optional(z.enum(LOG_LEVELS)),
  logFile: z.optional(
    text((value) => (isLogPath(value) ? undefined : `must be the absolute path of a file, is ${quote(value)}`)),
  ),
})

const KEYS: Readonly<Record<string, object>> = {
  routes: ROUTE_KEYS,
  defaultRoute: DISPOSITION_KEYS,
  ovnGateway: GATEWAY_KEYS,
  overrides: OVERRIDES_KEYS,
}
/** The keys there are in the object at a path, for the nearest one to a misspelt one. */
export const keysAt = (path: readonly PropertyKey[]) =>
  Object.keys(path.map((part) => KEYS[String(part)]).find(Boolean) ?? {})
