import * as z from 'zod/mini'
import { quote } from '../errors.ts'
import { type Family, familyOf, parseAddress, parsePrefix, specialKind } from '../net/address.ts'
import { batchProblem, ifnameProblem } from '../net/ifname.ts'
import { LOCAL_TABLE, Scope } from '../net/route.ts'
import { list } from './explain.ts'

// zod otherwise compiles each schema to a function by eval on first use: time lost in a process that parses once.
z.config({ jitless: true })

const UINT32 = 4294967295
export const SCOPES: Readonly<Record<string, number>> = { ...Scope, universe: Scope.global }

/**
 * What a check asks of one value, as data: the JSON Schema is made of it, so that no bound is written twice. zod itself
 * knows only that there is a check.
 */
export type Rule =
  | { readonly is: 'integer'; readonly least: number; readonly most: number; readonly except?: number }
  | { readonly is: 'word'; readonly words: readonly string[] }
  | { readonly is: 'gateway'; readonly family?: Family; readonly auto: boolean }
  | { readonly is: 'prefix' | 'source' | 'ifname' | 'logFile' }
  | { readonly is: 'list'; readonly most: number }

/** By the schema that has the check. */
export const RULES = new Map<z.core.$ZodType, Rule>()

function ruled<S extends z.core.$ZodType>(rule: Rule, schema: S): S {
  RULES.set(schema, rule)
  return schema
}

/** A schema for strings; `problem` says what is wrong with a value, or undefined. */
const text = (rule: Rule, problem: (value: string) => string | undefined) =>
  ruled(
    rule,
    z.string().check((ctx) => {
      const message = problem(ctx.value)
      if (message !== undefined) ctx.issues.push({ code: 'custom', input: ctx.value, message })
    }),
  )

/** @param except one number in between that is none, and why */
const integer = (least: number, most: number, except?: { readonly value: number; readonly message: string }) =>
  ruled(
    { is: 'integer', least, most, ...(except ? { except: except.value } : {}) },
    z.number().check((ctx) => {
      const { value } = ctx
      const inside = Number.isInteger(value) && value >= least && value <= most
      if (inside && value !== except?.value) return
      const message = inside && except ? except.message : `must be an integer from ${least} to ${most}, is ${value}`
      ctx.issues.push({ code: 'custom', input: value, message })
    }),
  )

const KINDS = {
  unspecified: 'the unspecified address',
  loopback: 'a loopback address',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
} as const

/** Why no gateway can have an address. @param none what to write where there is to be no gateway */
function gatewayProblem(address: string, none = ''): string | undefined {
  const kind = specialKind(address)
  if (kind === undefined) return undefined
  const write = kind === 'unspecified' ? none : ''
  return `${address} is ${KINDS[kind]}, which no gateway has; ${write || 'write the address of a router'}`
}

const NO_ADDRESS = (value: string) =>
  `${quote(value)} is no IP address; write one without prefix length, such as 10.50.0.1`

const gateway = text({ is: 'gateway', auto: false }, (value) => {
  const parsed = parseAddress(value)
  return parsed
    ? gatewayProblem(parsed.address, 'leave it out, with "scope": "link" if there is none')
    : NO_ADDRESS(value)
})

const source = text({ is: 'source' }, (value) => {
  const parsed = parseAddress(value)
  if (!parsed) return NO_ADDRESS(value)
  const kind = specialKind(parsed.address)
  // The kernel takes 127.0.0.1, an address that every pod has, and not ::1.
  if (kind === undefined || (kind === 'loopback' && parsed.family === 4)) return undefined
  return `${value} is ${KINDS[kind]}, which no packet comes from; write an address of the pod`
})

const dst = text({ is: 'prefix' }, (value) => {
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

const ifname = text({ is: 'ifname' }, (value) => {
  const problem = ifnameProblem(value) ?? batchProblem(value)
  return problem && `${quote(value)} ${problem}`
})

const scope = z.union([
  integer(0, 255),
  text({ is: 'word', words: Object.keys(SCOPES) }, (value) =>
    Object.hasOwn(SCOPES, value)
      ? undefined
      : `must be ${list(Object.keys(Scope))} or a number from 0 to 255, is ${quote(value)}`,
  ),
])

export const ROUTE_KEYS = {
  dst,
  gw: z.optional(gateway),
  dev: z.optional(ifname),
  src: z.optional(source),
  priority: z.optional(integer(0, UINT32)),
  table: z.optional(
    integer(0, UINT32, { value: LOCAL_TABLE, message: "255 is the kernel's local table; choose another" }),
  ),
  scope: z.optional(scope),
  // More than this the kernel cuts down to it: net/ipv4/metrics.c, ip_metrics_convert.
  mtu: z.optional(integer(68, 65520)),
  advmss: z.optional(integer(1, 65495)),
  onlink: z.optional(z.boolean()),
}
const DISPOSITION = z.enum(['remove', 'demote', 'keep'])
export const DISPOSITION_KEYS = { ipv4: z.optional(DISPOSITION), ipv6: z.optional(DISPOSITION) }

/** An absolute path of a file that leads nowhere else. */
export const LOG_PATH = /^\/(?!(?:[\s\S]*\/)?\.\.(?:\/|$))[\s\S]*[^/]$/
export const LONGEST_PATH = 4095

export function isLogPath(path: string): boolean {
  return path.length <= LONGEST_PATH && LOG_PATH.test(path)
}

/** One entry of `routes`, by itself. */
export const ROUTE = z.strictObject(ROUTE_KEYS)

/** @param family absent: either will do */
const autoOrGateway = (family?: Family) =>
  text({ is: 'gateway', auto: true, ...(family ? { family } : {}) }, (value) => {
    if (value === 'auto') return undefined
    const parsed = parseAddress(value)
    if (!parsed) return `must be "auto" or an IP address, is ${quote(value)}`
    if (family && parsed.family !== family)
      return `${value} is no IPv${family} address; write an IPv${family} address or "auto"`
    return gatewayProblem(parsed.address)
  })

export const GATEWAY_KEYS = {
  ipv4: z.optional(autoOrGateway(4)),
  ipv6: z.optional(autoOrGateway(6)),
  dev: z.optional(ifname),
  priority: z.optional(integer(0, UINT32)),
  onlink: z.optional(z.boolean()),
}

/** More in one configuration is a mistake, or an attack: each route is a line to ip(8) and twice a line from it. */
export const MOST_ROUTES = 10_000
export const MOST_PREFIXES = 1_000

const atMost = <S extends z.core.$ZodType>(most: number, of: S) =>
  ruled(
    { is: 'list', most },
    z.array(of).check((ctx) => {
      const { length } = ctx.value
      if (length > most)
        ctx.issues.push({ code: 'custom', input: length, message: `has ${length} entries; ${most} are the most` })
    }),
  )

/** What `overrides.allow` may list: nothing that decides where root writes, or who decides. */
export const OVERRIDABLE = ['defaultRoute', 'routes', 'ovnGateway', 'kubevirt', 'dryRun'] as const
export const OVERRIDES_KEYS = {
  allow: z.optional(z.array(z.enum(OVERRIDABLE))),
  within: z.optional(atMost(MOST_PREFIXES, dst)),
}
export const OVERRIDES = z.strictObject(OVERRIDES_KEYS)

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Our keys of a network configuration, the entries of `routes` unread. */
export const CONF = z.looseObject({
  defaultRoute: z.optional(z.union([DISPOSITION, z.strictObject(DISPOSITION_KEYS)])),
  routes: z.optional(atMost(MOST_ROUTES, z.unknown())),
  ovnGateway: z.optional(z.union([autoOrGateway(), z.strictObject(GATEWAY_KEYS)])),
  overrides: z.optional(OVERRIDES),
  kubevirt: z.optional(z.boolean()),
  dryRun: z.optional(z.boolean()),
  logLevel: z.optional(z.enum(LOG_LEVELS)),
  logFile: z.optional(
    text({ is: 'logFile' }, (value) =>
      isLogPath(value) ? undefined : `must be the absolute path of a file, is ${quote(value)}`,
    ),
  ),
})

/** What there is in the object, or in each object of the list, at a key. */
export const KEYS_OF: Readonly<Record<string, object>> = {
  routes: ROUTE_KEYS,
  defaultRoute: DISPOSITION_KEYS,
  ovnGateway: GATEWAY_KEYS,
  overrides: OVERRIDES_KEYS,
}
/** The keys there are in the object at a path, for the nearest one to a misspelt one. */
export const keysAt = (path: readonly PropertyKey[]) =>
  Object.keys(path.map((part) => KEYS_OF[String(part)]).find(Boolean) ?? {})
