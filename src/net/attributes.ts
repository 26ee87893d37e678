/**
 * The attributes of a route that ip-route(8) can set besides where it leads, and that an entry of `routes` may ask for. This
 * is the one place that declares them; tests go over it and say what else is missing.
 */
export type Attribute = {
  /** Its name in the answers of `ip -json`, if it differs from the configuration's. */
  readonly printed?: string
  /** A pod cannot choose it by `cni-args`. */
  readonly notForPods?: true
} & (
  | {
      readonly is: 'integer'
      /** The range that the kernel stores unchanged; 0 means "not set" to it. */
      readonly min: number
      readonly max: number
      /** For IPv6, if it differs from `min`. */
      readonly min6?: number
      /** A Result of CNI 1.1.0 reports it, by this name. Only such an attribute is learnt, since CHECK must know its value. */
      readonly inResult?: true
    }
  /** 1 in a batch line and in an answer. The kernel takes 0 for "not set". */
  | { readonly is: 'switch' }
  | { readonly is: 'name'; readonly pattern: RegExp; readonly example: string }
)

const DECLARED = {
  // The kernel reduces larger values of these two to `max`. @see linux net/ipv4/metrics.c ip_metrics_convert
  // The min of IPv6: https://www.rfc-editor.org/rfc/rfc8200#section-5
  mtu: { is: 'integer', min: 68, min6: 1280, max: 65520, inResult: true },
  advmss: { is: 'integer', min: 1, max: 65495, inResult: true },
  // The kernel multiplies it with the segment size in 32 bits. @see linux net/ipv4/tcp_output.c tcp_select_initial_window
  initcwnd: { is: 'integer', min: 1, max: 65535 },
  initrwnd: { is: 'integer', min: 1, max: 65535 },
  hoplimit: { is: 'integer', min: 1, max: 255 },
  quickack: { is: 'switch' },
  // At most as long as TCP_CA_NAME_MAX. ip(8) takes "lock" for a word of its own. Which name it is decides what module the
  // kernel loads for it.
  congctl: {
    is: 'name',
    printed: 'congestion',
    pattern: /^(?!lock$)\w[\w.-]{0,14}$/,
    example: 'cubic',
    notForPods: true,
  },
} as const satisfies Record<string, Attribute>

type Declared = typeof DECLARED
export type AttributeName = keyof Declared

/** For the documentation, in Markdown. A table of its own, so that the bundler leaves it out of the plugin. */
export const MEANINGS: Readonly<Record<AttributeName, { readonly unit?: string; readonly meaning: string }>> = {
  mtu: { unit: 'bytes', meaning: 'path MTU' },
  advmss: { unit: 'bytes', meaning: 'advertised maximum segment size' },
  initcwnd: { unit: 'segments', meaning: 'how much TCP sends before the first acknowledgement' },
  initrwnd: { unit: 'segments', meaning: 'how much TCP lets the other side send at first' },
  hoplimit: { meaning: 'TTL (IPv4) or hop limit (IPv6) of the packets' },
  quickack: { meaning: 'TCP acknowledges each segment at once' },
  congctl: { meaning: "TCP's congestion control algorithm; the node's kernel must have it. Not by `cni-args`" },
}

type ValueOf<A extends Attribute> = A extends { readonly is: 'integer' }
  ? number
  : A extends { readonly is: 'switch' }
    ? boolean
    : string

export type Attributes = { readonly [K in AttributeName]?: ValueOf<Declared[K]> }

/** If a key is there and undefined, the route is known not to have this attribute. */
export type KnownAttributes = { readonly [K in AttributeName]?: Attributes[K] | undefined }

export const ATTRIBUTES: Readonly<Record<AttributeName, Attribute>> = DECLARED
export const ATTRIBUTE_NAMES = Object.keys(DECLARED) as readonly AttributeName[]

/** Those that a Result of CNI 1.1.0 has. All are integers. */
export const IN_RESULT = ATTRIBUTE_NAMES.filter((name) => 'inResult' in DECLARED[name])

const BY_PRINTED = new Map(ATTRIBUTE_NAMES.map((name) => [ATTRIBUTES[name].printed ?? name, name]))

/** An attribute as `ip -json` prints it. Undefined: it is none, or ip(8) would not read it in this form. */
export function readAttribute(key: string, printed: unknown): Attributes | undefined {
  const name = BY_PRINTED.get(key)
  const value = name && valueFrom(ATTRIBUTES[name], printed)
  return name && value !== undefined ? { [name]: value } : undefined
}

function valueFrom(attribute: Attribute, printed: unknown): number | boolean | string | undefined {
  switch (attribute.is) {
    case 'integer':
      return Number.isSafeInteger(printed) && Number(printed) >= 0 ? Number(printed) : undefined
    case 'switch':
      return printed === 1 ? true : undefined
    case 'name':
      return typeof printed === 'string' && attribute.pattern.test(printed) ? printed : undefined
    default:
      throw attribute satisfies never
  }
}

/** The words of a batch line. */
export function attributeWords(attributes: Attributes): string[] {
  const words: string[] = []
  for (const name of ATTRIBUTE_NAMES) {
    const value = attributes[name]
    if (value !== undefined) words.push(name, value === true ? '1' : String(value))
  }
  return words
}

/** True if two routes have the same. */
export function sameAttributes(a: Attributes | undefined, b: Attributes | undefined): boolean {
  if (a !== b) for (const name of ATTRIBUTE_NAMES) if (a?.[name] !== b?.[name]) return false
  return true
}

/** The attributes in a record, limited to `names`; undefined if there are none. */
export function attributesIn(record: KnownAttributes, names = ATTRIBUTE_NAMES): Attributes | undefined {
  let found: Attributes | undefined
  for (const name of names) if (record[name] !== undefined) found = { ...found, [name]: record[name] }
  return found
}

/**
 * The attributes of a route: those `wanted`, and of the others those `learnt`; undefined if there are none. A switch that is
 * off is absent, as it is in the kernel.
 */
export function combined(
  wanted: KnownAttributes | undefined,
  learnt: KnownAttributes | undefined,
): Attributes | undefined {
  if (wanted === undefined && learnt === undefined) return undefined
  const both: Mutable = { ...learnt, ...wanted }
  for (const name of ATTRIBUTE_NAMES) if (both[name] === false) delete both[name]
  return attributesIn(both)
}

/** `attributes` without those that `others` have too. */
export function withoutThose(
  attributes: Attributes | undefined,
  others: Attributes | undefined,
): Attributes | undefined {
  if (attributes === undefined || others === undefined) return attributes
  const rest: Mutable = { ...attributes }
  for (const name of ATTRIBUTE_NAMES) if (others[name] !== undefined) delete rest[name]
  return attributesIn(rest)
}

type Mutable = { -readonly [K in keyof KnownAttributes]: KnownAttributes[K] }
