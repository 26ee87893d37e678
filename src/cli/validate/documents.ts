import leven from 'leven'
import { isObject, type NetConf } from '../../cni/request.ts'
import { quote } from '../../errors.ts'
import type { FindingCode } from './codes.ts'
import { configTextsIn, isNetwork } from './config-texts.ts'
import { delegatesIn } from './delegates.ts'
import { type Finding, finding, type Say, sayer } from './finding.ts'
import { JsonProblem, type Path, parseJson } from './json.ts'
import { OURS } from './ours.ts'
import { placedJson } from './placed-json.ts'
import { below, type Placed, type Position, pathText, positionsIn } from './position.ts'
import { checkSetText, type SetText, setTextsIn } from './set-texts.ts'
import { type Silencer, silencersIn } from './silence.ts'
import { templateIn, withoutTemplate } from './template.ts'
import { type BridgedNetwork, bridgedNetworks } from './virtual-machines.ts'
import { parseYaml } from './yaml.ts'
import { inConfig } from './yaml-config.ts'

/** A network configuration in a file: a plugin list, or that of a single plugin. */
export interface Configuration {
  /** The NetworkAttachmentDefinition it is in: `kube-system/calico-underlay`. */
  readonly attachmentDefinition?: string
  /** The name of that definition, which Multus gives to a network without a name. */
  readonly definitionName?: string
  /** For a delegate of Multus, its path in the configuration of Multus: `delegates[0]`. */
  readonly base?: Path
  readonly placed: Placed
}

/** One entry of this plugin in a configuration, with what a runtime would pass to it, except prevResult. */
export interface Entry {
  readonly path: Path
  readonly conf: NetConf
}

/** What a file holds. */
export interface Contents {
  readonly configurations: readonly Configuration[]
  /** The names of its NetworkAttachmentDefinitions, also of those whose configuration is elsewhere, or cannot be read. */
  readonly definitions: readonly string[]
  /** The kinds of the documents that are not network configurations: `VirtualMachine`. */
  readonly passedOver: readonly string[]
  /** Those documents. Pods among them say which networks they use. */
  readonly others: readonly Placed[]
  /** The file has only documents of other kinds. */
  readonly foreign: boolean
  /** The networks of its virtual machines. */
  readonly bridged: readonly BridgedNetwork[]
  /** The route sets of its ConfigMaps. */
  readonly sets: readonly SetText[]
  /** Where its first template action is, if it is a template. */
  readonly template?: Position
  /** It has a Template of OpenShift, in which `${NAME}` stands for a parameter. */
  readonly parameters: boolean
  /** The comments of a YAML file that silence findings. */
  readonly silencers: readonly Silencer[]
  readonly findings: readonly Finding[]
}

type Collected = {
  configurations: Configuration[]
  definitions: string[]
  passedOver: string[]
  others: Placed[]
  bridged: BridgedNetwork[]
  sets: SetText[]
  /** One of its documents is for the API server. */
  manifest: boolean
  parameters: boolean
  silencers: readonly Silencer[]
  findings: Finding[]
}

const EMPTY = 'empty; write a network configuration'
const NAD = 'NetworkAttachmentDefinition'

/**
 * The network configurations of a file: JSON as runtimes read it, or the YAML of Kubernetes.
 * @param yaml the name of the file says YAML, even if it begins like JSON
 */
export function contentsOf(bytes: Uint8Array, yaml: boolean): Contents {
  const contents: Collected = {
    configurations: [],
    definitions: [],
    passedOver: [],
    others: [],
    bridged: [],
    sets: [],
    manifest: false,
    parameters: false,
    silencers: [],
    findings: [],
  }
  const refuse = (code: FindingCode, message: string, position?: Position) =>
    void contents.findings.push(finding(code, message, position ? { position } : {}))
  const decoded = decode(bytes)
  const marked = decoded?.startsWith(BYTE_ORDER_MARK) === true
  const text = marked ? decoded.slice(1) : decoded
  if (text === undefined)
    refuse('XCR010', 'not UTF-8 text; give a configuration in JSON, or a NetworkAttachmentDefinition in YAML')
  else if (text.trim() === '') refuse('XCR010', EMPTY)
  else if (isBracketed(text) && !(yaml && !isJson(text))) readJson(text, contents)
  else readYaml(text, contents)
  // JSON is for a runtime, unless it has a kind: then it is for the API server, which accepts the mark.
  if (marked && isBracketed(text ?? '') && !contents.manifest)
    refuse('XCR014', 'starts with a byte order mark, which runtimes refuse; remove it', { line: 1, column: 1 })
  const { configurations, passedOver } = contents
  const nothing = configurations.length === 0 && contents.findings.length === 0
  const kinds = [...new Set(passedOver)].join(', ')
  if (nothing)
    refuse('XCR010', kinds ? `no network configuration found, only ${kinds}; give a plugin list or a ${NAD}` : EMPTY)
  const template = text === undefined ? undefined : templateIn(text)
  return {
    ...contents,
    ...(template ? { template } : {}),
    findings: withoutTemplate(contents.findings, template),
    foreign: nothing && kinds !== '',
  }
}

const BYTE_ORDER_MARK = '\uFEFF'
const isBracketed = (text: string) => /^\s*[{[]/.test(text)

function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    // U+FFFD has replaced bytes that were not UTF-8.
    return /[\0\uFFFD]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

function isJson(text: string): boolean {
  try {
    parseJson(text)
    return true
  } catch {
    return false
  }
}

function readJson(text: string, contents: Collected): void {
  const placed = readPlaced(text, positionsIn(text), contents, 'not JSON: ')
  if (placed) readDocument(placed, contents)
}

function readYaml(text: string, contents: Collected): void {
  const lines = text.split(/\r?\n/)
  contents.silencers = silencersIn(text)
  for (const { errors, repeated, ...document } of parseYaml(text)) {
    for (const position of repeated) {
      contents.findings.push(finding('XCR015', `a key ${TWICE}`, { position }))
    }
    const inside = inConfig(lines, errors)
    for (const { position, message } of inside ? [inside] : errors) {
      const said = `${inside ? 'spec.config: ' : ''}not YAML: ${message}`
      contents.findings.push(finding('XCR012', said, { position, syntax: true }))
    }
    if (errors.length === 0) readDocument(document, contents, 'yaml')
  }
}

function readDocument(placed: Placed, contents: Collected, language: 'json' | 'yaml' = 'json'): void {
  const { value } = placed
  const say = sayer(placed, contents.findings)
  if (!isObject(value)) {
    say('XCR016', [], 'must be an object: a network configuration has "cniVersion", "name" and "plugins" or "type"')
    return
  }
  const { kind } = value
  if (typeof kind === 'string') contents.manifest = true
  const inner = typeof kind === 'string' && /List$/.test(kind) ? 'items' : kind === 'Template' ? 'objects' : undefined
  const parts = inner === undefined ? undefined : value[inner]
  if (kind === 'Template') contents.parameters = true
  if (inner !== undefined && Array.isArray(parts)) {
    for (const index of parts.keys()) readDocument(below(placed, [inner, index]), contents, language)
  } else if (kind === NAD || isNearlyNad(kind)) {
    if (kind !== NAD) say('XCR017', ['kind'], `must be ${NAD}, is ${quote(kind)}`)
    readAttachmentDefinition(placed, say, contents)
  } else if (kind === undefined && ('plugins' in value || 'type' in value)) {
    if (language === 'yaml') say('XCR016', [], 'a network configuration must be JSON; no runtime reads it as YAML')
    else addConfiguration({ placed }, contents)
  } else {
    for (const network of bridgedNetworks(value)) contents.bridged.push(network)
    readSets(placed, say, contents)
    readConfigTexts(placed, contents)
    contents.passedOver.push(typeof kind === 'string' ? kind : 'a document without "kind"')
    contents.others.push(placed)
  }
}

function readSets({ value, within }: Placed, say: Say, { sets, findings }: Collected): void {
  for (const one of setTextsIn(value as Record<string, unknown>)) {
    const path = ['data', one.name]
    const positionOf = within(path)
    const text = pathText(path)
    checkSetText(one, say, (offset, message) => {
      findings.push(finding('XCR019', message, { position: positionOf(offset), path: text }))
    })
    sets.push(one)
  }
}

function readConfigTexts({ value, within }: Placed, contents: Collected): void {
  for (const { key, text } of configTextsIn(value as Record<string, unknown>)) {
    const findings: Finding[] = []
    const read = readPlaced(text, within(['data', key]), { findings }, `data.${key}: not JSON: `)
    // What others keep in ConfigMaps may be a template of their own.
    if (read ? isNetwork(read.value) : text.includes(`"${OURS}"`))
      for (const one of findings) contents.findings.push(one)
    if (read && isNetwork(read.value)) addConfiguration({ placed: read }, contents)
  }
}

/** Misspelt, in the plural, or by its short name. */
function isNearlyNad(kind: unknown): boolean {
  if (typeof kind !== 'string' || kind.length > 2 * NAD.length) return false
  return leven(kind.toLowerCase(), NAD.toLowerCase()) <= 3 || /^net-?attach-?def/i.test(kind)
}

function readAttachmentDefinition(placed: Placed, say: Say, contents: Collected): void {
  const { apiVersion, metadata, spec } = placed.value as Record<string, unknown>
  const { name, namespace } = isObject(metadata) ? metadata : {}
  const isNamed = typeof name === 'string' && name !== ''
  if (apiVersion !== 'k8s.cni.cncf.io/v1') say('XCR017', ['apiVersion'], 'must be k8s.cni.cncf.io/v1')
  if (!isNamed) say('XCR017', ['metadata'], 'name: missing; pods name the network by it')
  const fullName = [namespace, name].filter((part) => typeof part === 'string' && part !== '').join('/')
  contents.definitions.push(fullName)
  const config = isObject(spec) ? spec.config : undefined
  if (config === undefined || config === null || config === '') {
    const network = isNamed ? `the network "${name}"` : 'that network'
    say('XCR018', ['spec'], `config: missing; Multus then looks for a configuration file of ${network} on the node`)
    return
  }
  if (typeof config !== 'string') {
    say('XCR017', ['spec', 'config'], 'must be a string that holds JSON; write "config: |" with the JSON below it')
    return
  }
  const inner = readPlaced(config, placed.within(['spec', 'config']), contents, 'spec.config: not JSON: ')
  if (!inner) return
  const definition = {
    attachmentDefinition: fullName,
    ...(isNamed ? { definitionName: name } : {}),
  }
  addConfiguration({ ...definition, placed: inner }, contents)
}

/** One by one, because a function takes at most some 100,000 arguments. */
function addConfiguration(one: Configuration, { configurations }: Collected): void {
  configurations.push(one)
  for (const delegate of delegatesIn(one.placed)) configurations.push(delegate)
}

const TWICE = 'appears twice in this object; the last one counts'

function readPlaced(
  text: string,
  positionOf: (offset: number) => Position,
  { findings }: Pick<Collected, 'findings'>,
  prefix: string,
): Placed | undefined {
  try {
    const document = parseJson(text)
    for (const { path, offset } of document.repeated) {
      findings.push(finding('XCR015', TWICE, { position: positionOf(offset), path: pathText(path) }))
    }
    return placedJson(text, document, positionOf)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    const position = positionOf(error.offset)
    findings.push(finding('XCR011', `${prefix}${error.message}`, { position, syntax: true }))
    return undefined
  }
}
