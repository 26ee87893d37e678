import { CniError, Code, messageOf, quote } from '../errors.ts'
import { ifnameProblem } from '../net/ifname.ts'

/** The versions of the CNI specification that we support, oldest first. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number]
export const NEWEST_VERSION = '1.1.0' satisfies CniVersion

/** A network configuration as it was on stdin: a JSON object, its keys not checked yet. */
export type NetConf = Readonly<Record<string, unknown>>

/** Environment variables. Only those of CNI are read. */
export type Env = Readonly<Record<string, string | undefined>>

interface Attachment {
  readonly cniVersion: CniVersion
  readonly containerId: string
  /** The path of the pod's network namespace. */
  readonly netns: string
  readonly ifname: string
  readonly conf: NetConf
}

/** A call that has passed every check that needs no kernel. */
export type Request =
  | (Attachment & { readonly verb: 'ADD'; readonly allowOwnNetns: boolean })
  | (Attachment & { readonly verb: 'CHECK' })
  /** `netns` may be empty: then there is nothing to delete. `conf` may be one that ADD would refuse. */
  | (Omit<Attachment, 'cniVersion'> & { readonly verb: 'DEL'; readonly allowOwnNetns: boolean })
  | { readonly verb: 'GC'; readonly cniVersion: CniVersion; readonly conf: NetConf }
  | { readonly verb: 'STATUS'; readonly cniVersion: CniVersion; readonly conf: NetConf }

export type Verb = Request['verb']

/**
 * The variables that each verb needs, in the order in which the reference checks them. CNI_PATH is for plugins that
 * call others; the specification requires it only for GC.
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

/** @throws CniError 4 for the first invalid variable, or for all missing ones */
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
      `${missing.join(', ')}: not set; ${verb} needs ${missing.length > 1 ? 'them' : 'it'}`,
    )
  }
}

/** @throws CniError 6 if it is not UTF-8 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CniError(Code.decodingFailure, 'stdin: not UTF-8; write the network configuration in UTF-8')
  }
}

/**
 * The one JSON document in `text`.
 * @throws CniError 6 if it is anything else
 */
export function parseDocument(text: string): unknown {
  if (text.trim() === '') throw new CniError(Code.decodingFailure, 'stdin: empty; it must hold a network configuration')
  if (text.startsWith('\uFEFF'))
    throw new CniError(Code.decodingFailure, 'stdin: starts with a byte order mark; remove it')
  try {
    return UNSAFE_NUMBER.test(text) ? parseKeeping(text) : JSON.parse(text)
  } catch (error) {
    throw new CniError(Code.decodingFailure, `stdin: not exactly one JSON document: ${messageOf(error)}`)
  }
}

// Matches any number that may lose digits as a double, and some others: it only decides whether to look at each number.
const UNSAFE_NUMBER = /[\s:,[]-?\d*(?:\d{16}|[.eE])/

function parseKeeping(text: string): unknown {
  try {
    return JSON.parse(text, keepNumber as (key: string, value: unknown) => unknown)
  } catch (error) {
    // Unlike plain parsing, this recurses. DEL must not fail because of that. ADD will fail later: it cannot print such
    // a document.
    if (error instanceof RangeError) return JSON.parse(text)
    throw error
  }
}

// Too new for TypeScript's library. @see https://github.com/tc39/proposal-json-parse-with-source
const RawJson = JSON as unknown as { rawJSON(text: string): unknown; isRawJSON(value: unknown): boolean }

function isKeptNumber(value: unknown): boolean {
  return RawJson.isRawJSON(value)
}

/** A reviver that keeps the digits of numbers in unknown keys, whatever their size: the Result repeats them. */
function keepNumber(this: unknown, _key: string, value: unknown, context: { source?: string }): unknown {
  const { source } = context
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value) || String(value) === source)
    return value
  return RawJson.rawJSON(source)
}

/** The version in which an error is reported: the configuration's, if we support it. */
export function versionOf(document: unknown): CniVersion {
  const version = isObject(document) ? document.cniVersion : undefined
  return SUPPORTED_VERSIONS.find((supported) => supported === version) ?? NEWEST_VERSION
}

/**
 * The request that a checked environment and the document on stdin make. The checks come in the reference's order. DEL
 * accepts any document, since a DEL that fails leaks the interfaces of the previous plugins.
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
  // Go prints an absent string as null.
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
      `CNI_COMMAND: must be ${Object.keys(SINCE).join(', ')} or VERSION, is ${quote(verb)}`,
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
      throw new CniError(
        Code.decodingFailure,
        `cniVersion: ${quote(written)} is not a version; write one such as "1.0.0"`,
      )
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

/** The newest version that Calico supports too. For a newer verb we suggest its first version instead. */
const TO_WRITE = '1.0.0' satisfies CniVersion

/** The reference takes an absent, null or empty version for 0.1.0, which has no chains. */
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

/** Negative if `a` is older; undefined if one of them is not a version of up to three numbers. */
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
export function idProblem(id: string): string | undefined {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)
    ? undefined
    : 'must start with a letter or digit and have only letters, digits, "_", "." and "-"'
}

/** The answer to VERSION. @param document whatever has come on stdin */
export function versionAnswer(document: unknown): { cniVersion: CniVersion; supportedVersions: readonly CniVersion[] } {
  return { cniVersion: versionOf(document), supportedVersions: SUPPORTED_VERSIONS }
}
