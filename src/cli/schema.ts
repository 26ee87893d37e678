import { type $ZodType, type ToJSONSchemaParams, toJSONSchema } from 'zod/v4/core'
import { ABSOLUTE_PATH, CONF, MAX_PATH_LENGTH, ROUTE as ROUTE_SCHEMA, RULES, type Rule } from '../config/schema.ts'
import { Exit } from './command.ts'
import { gateway, IFNAME, PREFIX, SOURCE, STRANGE_KEY } from './patterns.ts'
import { define } from './usage/define.ts'
import { DISPOSITION, GATEWAY, KEYS, type Key, OVERRIDES, ROUTE, SOURCE_ROUTING } from './validate/keys.ts'

export const schema = define(
  {
    name: 'schema',
    summary: 'print the JSON Schema of the configuration',
    usage: [''],
    about: [
      'Print the JSON Schema (2020-12) of the plugin\'s network configuration, for editors and for checks in a repository. It describes the entry in "plugins", not the list around it. What depends on several keys, only `validate` checks.',
    ],
    options: {},
    exit: [['0', 'Always.']],
    examples: ['x-calico-route schema > x-calico-route.schema.json'],
  },
  (_, terminal) => {
    terminal.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
    return Exit.ok
  },
)

type Json = Record<string, unknown>

/** The pattern of a prefix is long, and several keys use it. */
const DEFINITIONS = { prefix: { type: 'string', pattern: PREFIX } }

/** Expresses a check of the plugin's own code, which zod cannot print, in JSON Schema. */
function checks(rule: Rule): Json {
  switch (rule.is) {
    case 'integer': {
      const { min, max, except } = rule
      return {
        type: 'integer',
        minimum: min,
        maximum: max,
        ...(except === undefined ? {} : { not: except.length === 1 ? { const: except[0] } : { enum: except } }),
      }
    }
    case 'word':
      return { enum: rule.words }
    case 'name':
      return { pattern: rule.pattern.source }
    case 'gateway':
      return { pattern: gateway(rule.family, rule.auto) }
    case 'prefix':
      return { $ref: '#/$defs/prefix' }
    case 'source':
      return { pattern: SOURCE }
    case 'ifname':
      return { minLength: 1, maxLength: 15, pattern: IFNAME }
    case 'path':
      return { maxLength: MAX_PATH_LENGTH, pattern: ABSOLUTE_PATH.source }
    case 'list':
      return { maxItems: rule.max }
    default:
      throw rule satisfies never
  }
}

const withChecks: NonNullable<ToJSONSchemaParams['override']> = ({ zodSchema, jsonSchema }) => {
  const rule = RULES.get(zodSchema)
  if (!rule) return
  if (rule.is === 'prefix') delete jsonSchema.type
  Object.assign(jsonSchema, checks(rule))
}

/** The schema that the plugin itself validates with, and the description of each key. */
export function jsonSchema(): Json {
  const print = (schema: $ZodType) =>
    toJSONSchema(schema, { io: 'input', override: withChecks }) as Json & { properties: Record<string, Json> }
  const { $schema, properties } = print(CONF)
  const { $schema: _, ...route } = print(ROUTE_SCHEMA)
  Object.assign(properties.routes ?? {}, { items: { ...route, oneOf: [written('dst'), written('set')] } })
  document(route.properties, ROUTE)
  document(branch(properties.defaultRoute)?.properties, DISPOSITION)
  document(branch(properties.ovnGateway)?.properties, GATEWAY)
  document(branch(properties.sourceRouting)?.properties, SOURCE_ROUTING)
  document(properties.overrides?.properties as Record<string, Json>, OVERRIDES)
  document(properties, KEYS)
  return {
    $schema,
    title: 'Network configuration of x-calico-route',
    type: 'object',
    properties: { type: { const: 'x-calico-route' }, ...withNulls({ properties }).properties },
    required: ['type'],
    // Runtimes add keys of their own. Keys that resemble ours are refused below.
    additionalProperties: true,
    patternProperties: { [STRANGE_KEY]: false },
    $defs: DEFINITIONS,
  }
}

/** An object that has this key, and not as null. */
function written(key: string): Json {
  return { required: [key], properties: { [key]: { type: 'string' } } }
}

/** Null counts as absent, for every key that is not required. */
function withNulls(schema: Json): Json & { properties?: object } {
  const { properties, items, anyOf } = schema as { properties?: Record<string, Json>; items?: Json; anyOf?: Json[] }
  const required = (schema.required ?? []) as string[]
  const orNull = ([key, one]: [string, Json]) => [key, required.includes(key) ? one : nullable(withNulls(one))]
  return {
    ...schema,
    ...(properties ? { properties: Object.fromEntries(Object.entries(properties).map(orNull)) } : {}),
    ...(items ? { items: withNulls(items) } : {}),
    ...(anyOf ? { anyOf: anyOf.map(withNulls) } : {}),
  }
}

function nullable(schema: Json): Json {
  const { anyOf, enum: words, type, $ref, ...rest } = schema
  if ($ref !== undefined) return { ...rest, anyOf: [{ $ref }, { type: 'null' }] }
  if (Array.isArray(anyOf)) return { ...schema, anyOf: [...(anyOf as Json[]), { type: 'null' }] }
  return { ...schema, type: [type, 'null'], ...(Array.isArray(words) ? { enum: [...(words as string[]), null] } : {}) }
}

/** The object among the alternatives of a key that may also be a word. */
function branch(schema: Json | undefined): { properties: Record<string, Json> } | undefined {
  const branches = (schema?.anyOf ?? []) as Json[]
  return branches.find((one) => 'properties' in one) as { properties: Record<string, Json> } | undefined
}

function document(properties: Record<string, Json> | undefined, table: Readonly<Record<string, Key>>): void {
  for (const [key, schema] of Object.entries(properties ?? {})) {
    const { meaning = '', default: [, value] = [] } = table[key] ?? {}
    // The tables are Markdown, and editors show this as plain text.
    const description = meaning.replaceAll('`', '').replace(/, see \[.*$/, '')
    Object.assign(schema, { description }, value === undefined ? {} : { default: value })
  }
}
