import {
  type CONF,
  type DISPOSITION_KEYS,
  type GATEWAY_KEYS,
  type OVERRIDES_KEYS,
  type ROUTE_KEYS,
  SETS_DIR,
  type SOURCE_ROUTING_KEYS,
} from '../../config/schema.ts'
import { ATTRIBUTE_NAMES, ATTRIBUTES, type AttributeName, MEANINGS } from '../../net/attributes.ts'

/** Documents a key of the network configuration, for the tables of docs/configuration.md and the JSON Schema. */
export interface Key {
  /** Markdown: what may be written. */
  readonly values: string
  /** What an absent key means: in Markdown for the table, and as a value. */
  readonly default?: readonly [shown: string, value?: unknown]
  /** Markdown. */
  readonly meaning: string
}

/** Does not compile if a key of the schema has no entry. */
type Table<K extends PropertyKey> = Readonly<Record<K, Key>>

export const KEYS: Table<keyof typeof CONF._zod.def.shape> = {
  defaultRoute: {
    values: '`remove`, `demote` or `keep`; or one for each family, `{"ipv4": …, "ipv6": …}`',
    default: ['`remove`', 'remove'],
    meaning:
      'what becomes of the default routes of the NIC in the main table. `demote` raises their metric above all others, so that Calico can attach afterwards',
  },
  routes: {
    values: 'list of up to 10,000 routes',
    default: ['`[]`', []],
    meaning: 'the routes to add, see [Routes](#routes)',
  },
  missingFamily: {
    values: '`refuse`, `skip`',
    default: ['`refuse`', 'refuse'],
    meaning:
      'what becomes of routes and gateways of a family that their NIC has no address of, see [Missing family](#missing-family)',
  },
  setsDir: {
    values: 'absolute path',
    default: ['`/var/lib/x-calico-route/sets`', SETS_DIR],
    meaning: "the node's directory of [route sets](#route-sets). Not by `cni-args`",
  },
  ovnGateway: {
    values: '`"auto"`, an address or an object',
    default: ['none'],
    meaning: 'the default route of the pod, see [ovnGateway](#default-gateway)',
  },
  sourceRouting: {
    values: '`true`, `false` or an object',
    default: ['`false`', false],
    meaning: 'what is sent from an address of the NIC leaves by it, see [sourceRouting](#source-routing)',
  },
  kubevirt: {
    values: '`true`, `false`',
    default: ['`false`', false],
    meaning: "refuse, before any change, what KubeVirt's bridge binding cannot hand to a VM",
  },
  overrides: {
    values: '`{"allow": [keys], "within": [prefixes]}`',
    default: ['nothing'],
    meaning: 'which keys a pod may override with `cni-args`, see [overrides](#overrides)',
  },
  dryRun: {
    values: '`true`, `false`',
    default: ['`false`', false],
    meaning: 'log the plan, change nothing and report prevResult unchanged',
  },
  logLevel: {
    values: '`debug`, `info`, `warn`, `error`',
    default: ['`info`', 'info'],
    meaning: 'which records are logged. Warnings and errors also go to stderr; with `debug`, all records do',
  },
  logFile: {
    values: 'absolute path',
    default: ['none'],
    meaning:
      'where to log, one JSON object per line: time, verb, container, interface, duration, each change, outcome. Symbolic links are never followed',
  },
}

function valuesOf(name: AttributeName): string {
  const attribute = ATTRIBUTES[name]
  switch (attribute.is) {
    case 'integer': {
      const { min, min6, max } = attribute
      const { unit } = MEANINGS[name]
      return `${min}${min6 === undefined ? '' : ` (IPv6: ${min6})`} to ${max}${unit === undefined ? '' : ` ${unit}`}`
    }
    case 'switch':
      return '`true`, `false`'
    case 'name':
      return `name, such as \`${attribute.example}\``
    default:
      throw attribute satisfies never
  }
}

const ATTRIBUTE_KEYS = Object.fromEntries(
  ATTRIBUTE_NAMES.map((name) => [name, { values: valuesOf(name), meaning: MEANINGS[name].meaning }]),
) as Table<AttributeName>

export const ROUTE: Table<keyof typeof ROUTE_KEYS> = {
  dst: {
    values: 'prefix; this or `set` is required',
    meaning:
      '`10.50.0.0/16`, `fd00:10:50::/48`; without host bits. `0.0.0.0/0` and `::/0` only with a `table` other than main',
  },
  set: {
    values: 'name, such as `underlay`',
    meaning: 'instead of `dst`: all prefixes of this [route set](#route-sets), each with the other keys of the entry',
  },
  gw: {
    values: 'address',
    meaning: "next hop. Default, unless `scope` is `link`: the NIC's own next hop, read from the kernel",
  },
  dev: { values: 'interface', meaning: 'outgoing interface. Default: the NIC that the plugin is called for' },
  src: { values: 'address of the pod', meaning: 'preferred source address' },
  priority: { values: '0 to 4294967295', meaning: 'metric; the lowest wins' },
  table: { values: '0 to 4294967295, except 255', meaning: 'routing table; 0 and 254 are the main table' },
  scope: {
    values: '`global`, `site`, `link`, `host`, `nowhere` or a number',
    meaning: '`link`: on-link, without a next hop. IPv6 routes have no scope in the kernel',
  },
  ...ATTRIBUTE_KEYS,
  onlink: { values: '`true`, `false`', meaning: 'treat the gateway as on-link, whatever its address' },
}

const family = (family: 4 | 6) => ({
  values: '`"auto"` or an address',
  meaning: `the IPv${family} gateway; \`"auto"\` finds it`,
})

export const GATEWAY: Table<keyof typeof GATEWAY_KEYS> = {
  ipv4: family(4),
  ipv6: family(6),
  dev: {
    values: 'interface',
    meaning: 'the NIC of the gateway. Default: the NIC that the plugin is called for; with `"auto"`, any',
  },
  priority: { values: '0 to 4294967295', meaning: 'metric of the default route; the lowest wins' },
  onlink: ROUTE.onlink,
}

export const SOURCE_ROUTING: Table<keyof typeof SOURCE_ROUTING_KEYS> = {
  table: {
    values: '1 to 4294967295, except 253, 254 and 255',
    meaning: "the NIC's table. Default: a number that the name of the NIC decides, 1420000000 to 1519999999",
  },
  priority: { values: '1 to 32765', meaning: 'where its rules come. Default: 14200' },
}

const disposition = (family: 4 | 6) => ({
  values: '`remove`, `demote` or `keep`',
  default: ['`remove`', 'remove'] as const,
  meaning: `the same for IPv${family} alone`,
})

export const DISPOSITION: Table<keyof typeof DISPOSITION_KEYS> = { ipv4: disposition(4), ipv6: disposition(6) }

export const OVERRIDES: Table<keyof typeof OVERRIDES_KEYS> = {
  allow: {
    values: 'keys',
    default: ['`[]`', []],
    meaning: 'the keys that a pod may override with `cni-args`',
  },
  within: {
    values: 'prefixes',
    default: ['`[]`', []],
    meaning: 'the prefixes that must contain every destination and gateway a pod asks for',
  },
}

/** The plugin's keys at the top of a network configuration. */
export const KEY_NAMES: readonly string[] = Object.keys(KEYS)

/** The table of the top-level keys in docs/configuration.md. */
export function keysTable(): string {
  const rows = Object.entries(KEYS).map(([key, { values, default: [shown] = [''], meaning }]) => [
    `\`${key}\``,
    values,
    shown,
    meaning,
  ])
  return markdown([['key', 'values', 'default', 'meaning'], ...rows])
}

/** The table of the keys of a route in docs/configuration.md. */
export function routeTable(): string {
  return innerTable(ROUTE)
}

/** The table of the keys of `ovnGateway` in docs/configuration.md. */
export function gatewayTable(): string {
  return innerTable(GATEWAY)
}

/** The table of the keys of `sourceRouting` in docs/configuration.md. */
export function sourceRoutingTable(): string {
  return innerTable(SOURCE_ROUTING)
}

function innerTable(keys: Readonly<Record<string, Key>>): string {
  const rows = Object.entries(keys).map(([key, { values, meaning }]) => [`\`${key}\``, values, meaning])
  return markdown([['key', 'values', 'meaning'], ...rows])
}

function markdown([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return [line(head), `|${'---|'.repeat(head.length)}\n`, ...rows.map(line)].join('')
}
