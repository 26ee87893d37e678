import * as z from 'zod/mini'
import { quote } from '../errors.ts'
import { type Family, familyOf, parseAddress, parsePrefix, specialKind } from '../net/address.ts'
import { ATTRIBUTE_NAMES, ATTRIBUTES, type Attribute, type AttributeName, type Attributes } from '../net/attributes.ts'
import { batchProblem, ifnameProblem } from '../net/ifname.ts'
import { DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, Scope } from '../net/route.ts'
import { list } from './explain.ts'

// Otherwise zod compiles each schema by eval on first use: a waste of time in a process that parses once.
z.config({ jitless: true })

const UINT32 = 4294967295
export const SCOPES: Readonly<Record<string, number>> = { ...Scope, universe: Scope.global }

/**
 * What a check requires of a value, as data. The JSON Schema is generated from it, so that no limit is written twice;
 * zod itself only knows that there is a check.
 */
export type Rule =
  | { readonly is: 'integer'; readonly min: number; readonly max: number; readonly except?: readonly number[] }
  | { readonly is: 'word'; readonly words: readonly string[] }
  | { readonly is: 'name'; readonly pattern: RegExp }
  | { readonly is: 'gateway'; readonly family?: Family; readonly auto: boolean }
  | { readonly is: 'prefix' | 'source' | 'ifname' | 'path' }
  | { readonly is: 'list'; readonly max: number }

/** The rules, by the schema that checks them. */
export const RULES = new Map<z.core.$ZodType, Rule>()

function ruled<S extends z.core.$ZodType>(rule: Rule, schema: S): S {
  RULES.set(schema, rule)
  return schema
}

/** A schema for strings; `problem` returns what is wrong with a value, or undefined. */
const text = (rule: Rule, problem: (value: string) => string | undefined) =>
  ruled(
    rule,
    z.string().check((ctx) => {
      const message = problem(ctx.value)
      if (message !== undefined) ctx.issues.push({ code: 'custom', input: ctx.value, message })
    }),
  )

/** @param except numbers in the range that are not allowed, and why */
const integer = (min: number, max: number, except?: { readonly values: readonly number[]; readonly message: string }) =>
  ruled(
    { is: 'integer', min, max, ...(except ? { except: except.values } : {}) },
    z.number().check((ctx) => {
      const { value } = ctx
      const inside = Number.isInteger(value) && value >= min && value <= max
      if (inside && !except?.values.includes(value)) return
      const message = inside && except ? except.message : `must be an integer from ${min} to ${max}, is ${value}`
      ctx.issues.push({ code: 'custom', input: value, message })
    }),
  )

const KINDS = {
  unspecified: 'the unspecified address',
  loopback: 'a loopback address',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
} as const

/** Why an address cannot be a gateway's. @param none what to write if there should be no gateway */
function gatewayProblem(address: string, none = ''): string | undefined {
  const kind = specialKind(address)
  if (kind === undefined) return undefined
  const write = kind === 'unspecified' ? none : ''
  return `${address} is ${KINDS[kind]}, which no gateway has; ${write || 'write the address of a router'}`
}

const NO_ADDRESS = (value: string) =>
  `${quote(value)} is not an IP address; write one without prefix length, such as 10.50.0.1`

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
  // Every pod has 127.0.0.1, and the kernel accepts it as a source, unlike ::1.
  if (kind === undefined || (kind === 'loopback' && parsed.family === 4)) return undefined
  return `${value} is ${KINDS[kind]}, which no packet comes from; write an address of the pod`
})

/** What is wrong with the destination of a route, if anything. */
export function destinationProblem(value: string): string | undefined {
  const prefix = parsePrefix(value)
  if (prefix) {
    const { length, network } = prefix
    return `${prefix.address}/${length}` === network ? undefined : `${quote(value)} has host bits set; write ${network}`
  }
  if (parseAddress(value)) {
    return `${quote(value)} has no prefix length; write ${value}/${familyOf(value) === 4 ? 32 : 128} for this one host`
  }
  return `${quote(value)} is not an IP prefix; write one such as 10.50.0.0/16 or fd00:10:50::/48`
}

const dst = text({ is: 'prefix' }, destinationProblem)

/** The name of a set is that of its file, and may be the key of a ConfigMap. @see RFC 1123: a label of a host name */
export const SET_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** What is wrong with the name of a set, if anything. */
export function setNameProblem(value: string): string | undefined {
  return SET_NAME.test(value)
    ? undefined
    : `${quote(value)} is not the name of a set; write at most 63 lower case letters, digits and hyphens, such as "underlay"`
}

const set = text({ is: 'name', pattern: SET_NAME }, setNameProblem)

const ifname = text({ is: 'ifname' }, (value) => {
  const problem = ifnameProblem(value) ?? batchProblem(value)
  return problem && `${quote(value)} ${problem}`
})

// Keys that are alike share a schema: each is a part of the start-up snapshot, which every call reads.
const FLAG = z.optional(z.boolean())
const METRIC = z.optional(integer(0, UINT32))
const IFNAME = z.optional(ifname)

const scope = z.union([
  integer(0, 255),
  text({ is: 'word', words: Object.keys(SCOPES) }, (value) =>
    Object.hasOwn(SCOPES, value)
      ? undefined
      : `must be ${list(Object.keys(Scope))} or a number from 0 to 255, is ${quote(value)}`,
  ),
])

function schemaOf(attribute: Attribute) {
  switch (attribute.is) {
    case 'integer':
      return z.optional(integer(attribute.min, attribute.max))
    case 'switch':
      return FLAG
    case 'name':
      return z.optional(
        text({ is: 'name', pattern: attribute.pattern }, (value) =>
          attribute.pattern.test(value)
            ? undefined
            : `${quote(value)} is not a name; write one such as "${attribute.example}"`,
        ),
      )
    default:
      throw attribute satisfies never
  }
}

type AttributeKeys = { [K in AttributeName]: z.ZodMiniOptional<z.ZodMiniType<NonNullable<Attributes[K]>>> }
const ATTRIBUTE_KEYS = Object.fromEntries(
  ATTRIBUTE_NAMES.map((name) => [name, schemaOf(ATTRIBUTES[name])]),
) as unknown as AttributeKeys

export const ROUTE_KEYS = {
  dst: z.optional(dst),
  set: z.optional(set),
  gw: z.optional(gateway),
  dev: IFNAME,
  src: z.optional(source),
  priority: METRIC,
  table: z.optional(
    integer(0, UINT32, { values: [LOCAL_TABLE], message: "255 is the kernel's local table; choose another" }),
  ),
  scope: z.optional(scope),
  ...ATTRIBUTE_KEYS,
  onlink: FLAG,
}
const DISPOSITION = z.enum(['remove', 'demote', 'keep'])
const OF_FAMILY = z.optional(DISPOSITION)
export const DISPOSITION_KEYS = { ipv4: OF_FAMILY, ipv6: OF_FAMILY }

/** Where the sets are, if the configuration does not say. */
export const SETS_DIR = '/var/lib/x-calico-route/sets'

/** An absolute path without `..`. */
export const ABSOLUTE_PATH = /^\/(?!(?:[\s\S]*\/)?\.\.(?:\/|$))[\s\S]*[^/]$/
export const MAX_PATH_LENGTH = 4095

export function isAbsolutePath(path: string): boolean {
  return path.length <= MAX_PATH_LENGTH && ABSOLUTE_PATH.test(path)
}

const PATH = z.optional(
  text({ is: 'path' }, (value) =>
    isAbsolutePath(value)
      ? undefined
      : `must be an absolute path without ".." and without "/" at its end, is ${quote(value)}`,
  ),
)

/** One entry of `routes`, on its own. */
export const ROUTE = z.strictObject(ROUTE_KEYS)

/** @param family if absent, either */
const autoOrGateway = (family?: Family) =>
  text({ is: 'gateway', auto: true, ...(family ? { family } : {}) }, (value) => {
    if (value === 'auto') return undefined
    const parsed = parseAddress(value)
    if (!parsed) return `must be "auto" or an IP address, is ${quote(value)}`
    if (family && parsed.family !== family)
      return `${value} is not an IPv${family} address; write an IPv${family} address or "auto"`
    return gatewayProblem(parsed.address)
  })

export const GATEWAY_KEYS = {
  ipv4: z.optional(autoOrGateway(4)),
  ipv6: z.optional(autoOrGateway(6)),
  dev: IFNAME,
  priority: METRIC,
  onlink: FLAG,
}

/** Rules of the kernel's own are at 0, 32766 and 32767. */
const MAX_RULE_PRIORITY = 32_765
export const SOURCE_ROUTING_KEYS = {
  table: z.optional(
    integer(1, UINT32, {
      values: [DEFAULT_TABLE, MAIN_TABLE, LOCAL_TABLE],
      message: '253, 254 and 255 are the tables that all packets are looked up in; choose another',
    }),
  ),
  priority: z.optional(integer(1, MAX_RULE_PRIORITY)),
}

/** More are a mistake or an attack: each route is one line to ip(8) and two lines from it. */
export const MAX_ROUTES = 10_000
export const MAX_PREFIXES = 1_000

const atMost = <S extends z.core.$ZodType>(max: number, of: S) =>
  ruled(
    { is: 'list', max },
    z.array(of).check((ctx) => {
      const { length } = ctx.value
      if (length > max)
        ctx.issues.push({ code: 'custom', input: length, message: `has ${length} entries; the limit is ${max}` })
    }),
  )

/** What `overrides.allow` may list. Left out is what decides where root writes, or who decides. */
export const OVERRIDABLE = [
  'defaultRoute',
  'routes',
  'missingFamily',
  'ovnGateway',
  'sourceRouting',
  'kubevirt',
  'dryRun',
] as const
export const OVERRIDES_KEYS = {
  allow: z.optional(z.array(z.enum(OVERRIDABLE))),
  within: z.optional(atMost(MAX_PREFIXES, dst)),
}
export const OVERRIDES = z.strictObject(OVERRIDES_KEYS)

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const MISSING_FAMILY = ['refuse', 'skip'] as const

/** Our keys of a network configuration; entries of `routes` are checked one by one elsewhere. */
export const CONF = z.looseObject({
  defaultRoute: z.optional(z.union([DISPOSITION, z.strictObject(DISPOSITION_KEYS)])),
  routes: z.optional(atMost(MAX_ROUTES, z.unknown())),
  missingFamily: z.optional(z.enum(MISSING_FAMILY)),
  setsDir: PATH,
  ovnGateway: z.optional(z.union([autoOrGateway(), z.strictObject(GATEWAY_KEYS)])),
  sourceRouting: z.optional(z.union([z.boolean(), z.strictObject(SOURCE_ROUTING_KEYS)])),
  overrides: z.optional(OVERRIDES),
  kubevirt: FLAG,
  dryRun: FLAG,
  logLevel: z.optional(z.enum(LOG_LEVELS)),
  logFile: PATH,
})

/** The keys that an object, or each object of a list, can have at one of our keys. */
export const KEYS_OF: Readonly<Record<string, object>> = {
  routes: ROUTE_KEYS,
  defaultRoute: DISPOSITION_KEYS,
  ovnGateway: GATEWAY_KEYS,
  sourceRouting: SOURCE_ROUTING_KEYS,
  overrides: OVERRIDES_KEYS,
}
/** The keys that the object at a path can have, to find the one that was meant. */
export const keysAt = (path: readonly PropertyKey[]) =>
  Object.keys(path.map((part) => KEYS_OF[String(part)]).find(Boolean) ?? {})
