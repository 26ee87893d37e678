import { CniError, Code, messageOf, quote } from '../errors.ts'
import { ifnameProblem } from '../net/ifname.ts'

/** The versions of the CNI specification this plugin speaks, oldest first. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number]
export const NEWEST_VERSION = '1.1.0' satisfies CniVersion

/** A network configuration as it stood on stdin: a JSON object whose known keys are still to be checked. */
export type NetConf = Readonly<Record<string, unknown>>

/** Environment variables, of which only the CNI ones are read. */
export type Env = Readonly<Record<string, string | undefined>>

interface Attachment {
  readonly cniVersion: CniVersion
  readonly containerId: string
  /** Path of the pod's network namespace. */
  readonly netns: string
  readonly ifname: string
  readonly conf: NetConf
}

/** A call that has passed every check that needs no kernel. */
export type Request =
  | (Attachment & { readonly verb: 'ADD'; readonly allowOwnNetns: boolean })
  | (Attachment & { readonly verb: 'CHECK' })
  /** `netns` may be empty: then there is nothing left to delete. `conf` may be one that ADD would refuse. */
  | (Omit<Attachment, 'cniVersion'> & { readonly verb: 'DEL'; readonly allowOwnNetns: boolean })
  | { readonly verb: 'GC'; readonly cniVersion: CniVersion; readonly conf: NetConf }
  | { readonly verb: 'STATUS'; readonly cniVersion: CniVersion; readonly conf: NetConf }

export type Verb = Request['verb']

/**
 * Which variables each verb cannot do without, in the order the reference checks them. CNI_PATH is for plugins that
 * call others; the specification asks for it with GC only.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#parameters
 * @see https://github.com/containernetworking/cni/blob/main/pkg/skel/skel.go getCmdArgsFromEnv
 */
const REQUIRED: readonly { name: string; verbs: readonly string[]; problem?: (value: string) => string | undefined }[] =
  [
    { name: 'CNI_CONTAINERID', verbs: ['ADD', 'CHECK', 'DEL'], problem: idProblem },
    { name: 'CNI_NETNS', verbs: ['ADD', 'CHECK'] },
    { name: 'CNI_IFNAME', verbs: ['ADD', 'CHECK', 'DEL'], problem: ifnameProblem },
    { name: 'CNI_PATH', verbs: ['GC'] },
  ]

const SINCE: Readonly<Record<Verb, CniVersion>> = {
  ADD: '0.3.0',
  DEL: '0.3.0',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
}

/** @throws CniError 4 for a variable that is invalid, or for all that are missing */
export function checkEnv(env: Env): void {
  const verb = env.CNI_COMMAND ?? ''
  const missing: string[] = []
  for (const { name, verbs, problem } of REQUIRED) {
    if (!verbs.includes(verb)) continue
    const value = env[name] ?? ''
    const wrong = value === '' ? undefined : problem?.(value)
    if (wrong !== undefined) throw new CniError(Code.invalidEnvironment, `${name}: ${quote(value)} ${wrong}`)
    if (value === '') missing.push(name)
  }
  if (missing.length > 0) {
    throw new CniError(
      Code.invalidEnvironment,
      `${missing.join(', ')}: not set; a runtime sets ${missing.length > 1 ? 'them' : 'it'} for ${verb}, by hand you do`,
    )
  }
}

/** @throws CniError 6 if it is no UTF-8 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CniError(Code.decodingFailure, 'stdin: not UTF-8; a network configuration is JSON in UTF-8')
  }
}

/**
 * Exactly one JSON document.
 * @throws CniError 6 if it is anything else
 */
export function parseDocument(text: string): unknown {
  if (text.trim() === '')
    throw new CniError(Code.decodingFailure, 'stdin: empty; a network configuration in JSON must come on it')
  if (text.startsWith('\uFEFF'))
    throw new CniError(Code.decodingFailure, 'stdin: starts with a byte order mark; remove it')
  try {
    return UNSAFE_NUMBER.test(text) ? parseKeeping(text) : JSON.parse(text)
  } catch (error) {
    throw new CniError(Code.decodingFailure, `stdin: not exactly one JSON document: ${messageOf(error)}`)
  }
}

// A number that may lose digits as a double. Cheap rather than exact: the answer is only whether to look at each.
const UNSAFE_NUMBER = /[\s:,[]-?\d*(?:\d{16}|[.eE])/

function parseKeeping(text: string): unknown {
  try {
    return JSON.parse(text, keepNumber as (key: string, value: unknown) => unknown)
  } catch (error) {
    // Unlike plain parsing, this recurses. A DEL must not fail for it; an ADD will, when it sees that it cannot print
    // that deep.
    if (error instanceof RangeError) return JSON.parse(text)
    throw error
  }
}

// What TypeScript's library does not know yet. @see https://github.com/tc39/proposal-json-parse-with-source
const RawJson = JSON as unknown as { rawJSON(text: string): unknown; isRawJSON(value: unknown): boolean }

function isKeptNumber(value: unknown): boolean {
  return RawJson.isRawJSON(value)
}

/**
 * Numbers of fields we do not know go into the Result as they came, whatever their size.
 */
function keepNumber(this: unknown, _key: string, value: unknown, context: { source?: string }): unknown {
  const { source } = context
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value) || String(value) === source)
    return value
  return RawJson.rawJSON(source)
}

/** The configuration's own version, as far as it is one of ours: the version an error is told in. */
export function versionOf(document: unknown): CniVersion {
  const version = isObject(document) ? document.cniVersion : undefined
  return SUPPORTED_VERSIONS.find((supported) => supported === version) ?? NEWEST_VERSION
}

/**
 * The call that an environment that passed `checkEnv` and the document of stdin make. The order of the checks is the
 * reference's. DEL is let through with whatever the document says, since a DEL that fails leaks the interface of the
 * plugins before us.
 * @throws CniError 1, 4, 6 or 7
 * @see https://github.com/containernetworking/cni/blob/main/pkg/skel/skel.go pluginMain
 */
export function parseRequest(env: Env, document: unknown): Request {
  const verb = env.CNI_COMMAND ?? ''
  const containerId = env.CNI_CONTAINERID ?? ''
  const netns = env.CNI_NETNS ?? ''
  const ifname = env.CNI_IFNAME ?? ''
  const allowOwnNetns = /^(?:1|true)$/i.test(env.CNI_NETNS_OVERRIDE ?? '')
  if (verb === 'DEL')
    return { verb, containerId, netns, ifname, allowOwnNetns, conf: isObject(document) ? document : {} }

  if (!isObject(document)) {
    throw new CniError(
      Code.decodingFailure,
      'stdin: not a JSON object; a network configuration is one, with "cniVersion", "name" and "type"',
    )
  }
  // null is what is written in Go of a string that is not there.
  const { name } = document
  const problem = typeof name === 'string' && name !== '' ? idProblem(name) : 'must be a string that is not empty'
  if (problem !== undefined)
    throw new CniError(
      Code.invalidConfig,
      `name: ${name === undefined || name === null ? 'missing' : `${quote(name)} ${problem}`}`,
    )

  if (!isVerb(verb)) {
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_COMMAND: ${quote(verb)} is none of ${Object.keys(SINCE).join(', ')}, VERSION`,
    )
  }
  const cniVersion = checkVersion(verb, document.cniVersion)
  switch (verb) {
    case 'ADD':
      return { verb, cniVersion, containerId, netns, ifname, allowOwnNetns, conf: document }
    case 'CHECK':
      return { verb, cniVersion, containerId, netns, ifname, conf: document }
    case 'GC':
      return { verb, cniVersion, conf: document }
    case 'STATUS':
      return { verb, cniVersion, conf: document }
    default:
      throw verb satisfies never
  }
}

function checkVersion(verb: Exclude<Verb, 'DEL'>, written: unknown): CniVersion {
  if (written !== undefined && written !== null && typeof written !== 'string') {
    throw new CniError(Code.decodingFailure, `cniVersion: must be a string such as "1.0.0", is ${quote(written)}`)
  }
  if (!written) throw missingVersion(verb)
  if (verb !== 'ADD') {
    const age = compareVersions(written, SINCE[verb])
    if (age === undefined)
      throw new CniError(Code.decodingFailure, `cniVersion: ${quote(written)} is no version; write one such as "1.0.0"`)
    if (age < 0) throw tooOldFor(verb, `cniVersion is ${written}`)
  }
  const supported = SUPPORTED_VERSIONS.find((candidate) => candidate === written)
  if (supported === undefined) {
    throw new CniError(
      Code.incompatibleVersion,
      `cniVersion: ${quote(written)} is not supported`,
      `the configuration asks for ${written.length > 20 ? quote(written) : written}, ${SPEAKS}`,
    )
  }
  return supported
}

const SPEAKS = `x-calico-route supports ${SUPPORTED_VERSIONS.join(', ')}`

/** The newest version that Calico takes, too; of a verb that is newer, its first. */
const TO_WRITE = '1.0.0' satisfies CniVersion

/** The reference takes an absent, null or empty version for the first one, 0.1.0, which has no chains. */
function missingVersion(verb: Exclude<Verb, 'DEL'>): CniError {
  const since = SINCE[verb]
  const write = `write "${(compareVersions(since, TO_WRITE) ?? 0) > 0 ? since : TO_WRITE}"`
  if (verb === 'ADD') return new CniError(Code.incompatibleVersion, `cniVersion: missing; ${write}`, SPEAKS)
  return tooOldFor(verb, `cniVersion: missing; ${write}`)
}

function tooOldFor(verb: Exclude<Verb, 'DEL'>, why: string): CniError {
  const message = `config version does not allow ${verb}`
  return new CniError(Code.incompatibleVersion, message, `${why}, ${verb} exists since ${SINCE[verb]}`)
}

/** Negative if `a` is older; undefined if either is no version of up to three numbers. */
function compareVersions(a: string, b: string): number | undefined {
  const numbers = (version: string) =>
    /^\d+(?:\.\d+){0,2}$/.test(version) ? version.split('.').map(Number) : undefined
  const [left, right] = [numbers(a), numbers(b)]
  if (!left || !right) return undefined
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function isVerb(word: string): word is Exclude<Verb, 'DEL'> {
  return Object.hasOwn(SINCE, word) && word !== 'DEL'
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isKeptNumber(value)
}

/**
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#parameters CNI_CONTAINERID; network names follow the same rule
 */
function idProblem(id: string): string | undefined {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)
    ? undefined
    : 'must start with a letter or digit, then only letters, digits, "_", "." and "-" may follow'
}

/** The document's version for an answer to VERSION, from however much of stdin has come. Never throws. */
export function versionAnswer(document: unknown): { cniVersion: CniVersion; supportedVersions: readonly CniVersion[] } {
  return { cniVersion: versionOf(document), supportedVersions: SUPPORTED_VERSIONS }
}
