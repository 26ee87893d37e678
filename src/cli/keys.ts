import type { CONF, DISPOSITION_KEYS, GATEWAY_KEYS, OVERRIDES_KEYS, ROUTE_KEYS } from '../config/schema.ts'
import { ATTRIBUTE_NAMES, ATTRIBUTES, type AttributeName, MEANINGS } from '../net/attributes.ts'

/** What is to be known of a key of the network configuration. The tables of docs/configuration.md and the JSON Schema are made of it. */
export interface Key {
  /** Markdown: what may be written. */
  readonly values: string
  /** Markdown: what holds where nothing is written; for the table, and the value itself. */
  readonly default?: readonly [shown: string, value?: unknown]
  /** Markdown. */
  readonly meaning: string
}

/** A key of the schema without an entry here does not compile. */
type Table<K extends PropertyKey> = Readonly<Record<K, Key>>

export const KEYS: Table<keyof typeof CONF._zod.def.shape> = {
  defaultRoute: {
    values: '`remove`, `demote` or `keep`; or `{"ipv4": …, "ipv6": …}` with one of these each',
    default: ['`remove`', 'remove'],
    meaning:
      'what happens to the default routes of the NIC, in the main table. `demote` gives them a metric behind all others, so that Calico can attach after it',
  },
  routes: { values: 'list of up to 10,000 routes', default: ['`[]`', []], meaning: 'routes to have, see below' },
  ovnGateway: {
    values: '`"auto"`, an address, or an object, see below',
    default: ['none'],
    meaning: 'the default route the pod is to have afterwards',
  },
  kubevirt: {
    values: '`true`, `false`',
    default: ['`false`', false],
    meaning: "refuse what KubeVirt's bridge binding cannot hand to a VM, before anything is changed",
  },
  overrides: {
    values: '`{"allow": [keys], "within": [prefixes]}`',
    default: ['nothing'],
    meaning: 'what a pod may change by `cni-args`, see below',
  },
  dryRun: {
    values: '`true`, `false`',
    default: ['`false`', false],
    meaning: 'log the plan, change nothing, hand prevResult on',
  },
  logLevel: {
    values: '`debug`, `info`, `warn`, `error`',
    default: ['`info`', 'info'],
    meaning: 'which records are kept. Warnings and errors go to stderr as well; at `debug` everything does',
  },
  logFile: {
    values: 'absolute path',
    default: ['none'],
    meaning:
      'one JSON object a line: time, verb, container, interface, duration, each change, outcome. Never follows a symbolic link',
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
    values: 'prefix, required',
    meaning: '`10.50.0.0/16`, `fd00:10:50::/48`; no host bits. `0.0.0.0/0` and `::/0` only with a `table` of their own',
  },
  gw: {
    values: 'address',
    meaning: "next hop. Without it and without `scope: link`: the NIC's own next hop, learnt from the kernel",
  },
  dev: { values: 'interface', meaning: 'default: the NIC the plugin was called for' },
  src: { values: 'address of the pod', meaning: 'preferred source address' },
  priority: { values: '0 to 4294967295', meaning: 'the metric; lower wins' },
  table: { values: '0 to 4294967295 but 255', meaning: 'routing table; 0 and 254 are the main table' },
  scope: {
    values: '`global`, `site`, `link`, `host`, `nowhere` or a number',
    meaning: '`link`: on-link, without next hop. IPv4 only: the kernel ignores it for IPv6',
  },
  ...ATTRIBUTE_KEYS,
  onlink: { values: '`true`, `false`', meaning: 'take the gateway for directly reachable, whatever its address' },
}

const family = (family: 4 | 6) => ({
  values: '`"auto"` or an address',
  meaning: `the IPv${family} gateway; \`"auto"\` looks for it`,
})

export const GATEWAY: Table<keyof typeof GATEWAY_KEYS> = {
  ipv4: family(4),
  ipv6: family(6),
  dev: { values: 'interface', meaning: 'the NIC of the gateway; default: the NIC the plugin was called for' },
  priority: { values: '0 to 4294967295', meaning: 'the metric of the default route; lower wins' },
  onlink: ROUTE.onlink,
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
    meaning: 'the keys that a pod may put in the place of these by `cni-args`',
  },
  within: {
    values: 'prefixes',
    default: ['`[]`', []],
    meaning: 'where every destination and gateway that a pod asks for must lie',
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

/** The table of the keys of a route there. */
export function routeTable(): string {
  const rows = Object.entries(ROUTE).map(([key, { values, meaning }]) => [`\`${key}\``, values, meaning])
  return markdown([['key', 'values', 'meaning'], ...rows])
}

function markdown([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return [line(head), `|${'---|'.repeat(head.length)}\n`, ...rows.map(line)].join('')
}
