import { parseArgs } from 'node:util'
import { toJSONSchema } from 'zod/v4/core'
import { CONF, MOST_PREFIXES, MOST_ROUTES, ROUTE as ROUTE_SCHEMA, SCOPES } from '../schema.ts'
import { type Command, Exit } from './command.ts'
import { DISPOSITION, GATEWAY, KEYS, type Key, OVERRIDES, ROUTE } from './keys.ts'

const HELP = `Usage: x-calico-route schema

Prints the JSON Schema (2020-12) of the plugin's network configuration, for editors and for checks in a repository. It
describes the entry of "plugins", not the list around it. What depends on several keys at once only validate tells.

Options:
  -h, --help   this text

Exit status: 0.

Example: x-calico-route schema > x-calico-route.schema.json
`

export const schema: Command = {
  summary: 'prints the JSON Schema of the configuration',
  help: HELP,
  run: (words, terminal) => {
    parseArgs({ args: [...words], options: {} })
    terminal.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
    return Exit.ok
  },
}

type Json = Record<string, unknown>

const DECIMAL = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const IPV4 = `${DECIMAL}(?:\\.${DECIMAL}){3}`
// Which of these are addresses only a parser can tell.
const IPV6 = '(?=.*:.*:)[0-9a-fA-F:]{2,39}'
const ADDRESS = `^(?:${IPV4}|${IPV6})$`
const PREFIX = `^(?:${IPV4}/(?:3[0-2]|[12]?[0-9])|${IPV6}/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))$`
const IFNAME = { minLength: 1, maxLength: 15, pattern: '^(?!\\.{1,2}$)[^/:\\s#"\'\\\\]+$' }

const integer = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum })
const UINT32 = integer(0, 4294967295)
const AUTO_OR_ADDRESS = { pattern: `^auto$|${ADDRESS}` }

/** What zod cannot print of the checks that the plugin makes by its own code, key by key. */
const ROUTE_CHECKS: Partial<Record<keyof typeof ROUTE, Json>> = {
  dst: { pattern: PREFIX },
  gw: { pattern: ADDRESS },
  dev: IFNAME,
  src: { pattern: ADDRESS },
  priority: UINT32,
  table: { anyOf: [integer(0, 254), integer(256, 4294967295)], type: undefined },
  scope: { anyOf: [integer(0, 255), { enum: Object.keys(SCOPES) }], type: undefined },
  mtu: integer(68, 65520),
  advmss: integer(1, 65495),
}
const GATEWAY_CHECKS: Partial<Record<keyof typeof GATEWAY, Json>> = {
  ipv4: AUTO_OR_ADDRESS,
  ipv6: AUTO_OR_ADDRESS,
  dev: IFNAME,
  priority: UINT32,
}

/** The validator's own schema, with what is to be known of each key. */
export function jsonSchema(): Json {
  const whole = toJSONSchema(CONF, { io: 'input' }) as Json & { properties: Record<string, Json> }
  const { properties } = whole
  document(properties, KEYS)
  const route = toJSONSchema(ROUTE_SCHEMA, { io: 'input' }) as Json & { properties: Record<string, Json> }
  delete route.$schema
  document(route.properties, ROUTE, ROUTE_CHECKS)
  Object.assign(properties.routes ?? {}, { items: route, maxItems: MOST_ROUTES })

  const [, disposition] = branches(properties.defaultRoute)
  document(disposition?.properties, DISPOSITION)
  const [word, gateway] = branches(properties.ovnGateway)
  Object.assign(word ?? {}, AUTO_OR_ADDRESS)
  document(gateway?.properties, GATEWAY, GATEWAY_CHECKS)
  const overrides = properties.overrides?.properties as Record<string, Json> | undefined
  document(overrides, OVERRIDES)
  Object.assign(overrides?.within ?? {}, { items: { type: 'string', pattern: PREFIX }, maxItems: MOST_PREFIXES })
  Object.assign(properties.logFile ?? {}, { pattern: '^/(?!(?:.*/)?\\.\\.(?:/|$)).*[^/]$' })
  return {
    ...whole,
    title: 'Network configuration of x-calico-route',
    properties: { type: { const: 'x-calico-route' }, ...properties },
    required: ['type'],
    additionalProperties: true, // runtimes add keys of theirs
  }
}

function branches(schema: Json | undefined): (Json & { properties?: Record<string, Json> })[] {
  return (schema?.anyOf ?? []) as Json[]
}

function document(
  properties: Record<string, Json> | undefined,
  table: Readonly<Record<string, Key>>,
  checks: Readonly<Record<string, Json | undefined>> = {},
): void {
  for (const [key, schema] of Object.entries(properties ?? {})) {
    const { meaning = '', default: [, value] = [] } = table[key] ?? {}
    // The tables are Markdown, and editors show this as plain text.
    const description = meaning.replaceAll('`', '').replace(/, see below$/, '')
    Object.assign(schema, checks[key], { description }, value === undefined ? {} : { default: value })
  }
}
