import { isObject, type NetConf } from '../request.ts'
import { type Finding, type Say, sayer } from './finding.ts'
import { JsonProblem, type Path, parseJson } from './json.ts'
import { below, type Placed, type Position, pathText, placedJson, positionsIn } from './position.ts'
import { parseYaml } from './yaml.ts'

/** A network configuration in a file: a plugin list, or a plugin's alone. */
export interface Configuration {
  /** `kube-system/calico-underlay` of a NetworkAttachmentDefinition. */
  readonly attachmentDefinition?: string
  readonly placed: Placed
}

/** One place of a configuration that names this plugin, with what a runtime would hand over there, less prevResult. */
export interface Entry {
  readonly path: Path
  readonly conf: NetConf
}

/** What a file holds. */
export interface Contents {
  readonly configurations: readonly Configuration[]
  /** Kinds of other documents, which are no configuration: `VirtualMachine`. */
  readonly passedOver: readonly string[]
  /** Those documents: pods among them tell which networks they have. */
  readonly others: readonly Placed[]
  /** There are only documents of other kinds. */
  readonly foreign: boolean
  readonly findings: readonly Finding[]
}

type Collected = { configurations: Configuration[]; passedOver: string[]; others: Placed[]; findings: Finding[] }
/** Reads the string at a path as a text with positions of its own. */
type Within = (path: Path) => (offset: number) => Position

const EMPTY = 'empty; a network configuration is expected'
const NAD = 'NetworkAttachmentDefinition'

/**
 * The network configurations of a file: JSON as runtimes read it, or the YAML of Kubernetes.
 * @param yaml the file is YAML by its name, even if it begins like JSON
 */
export function contentsOf(bytes: Uint8Array, yaml: boolean): Contents {
  const contents: Collected = { configurations: [], passedOver: [], others: [], findings: [] }
  const refuse = (message: string, position?: Position) =>
    void contents.findings.push({ severity: 'error', path: '', message, ...(position ? { position } : {}) })
  const text = decode(bytes)
  if (text === undefined)
    refuse('not a text in UTF-8; give a configuration in JSON, or a NetworkAttachmentDefinition in YAML')
  else if (text.trim() === '') refuse(EMPTY)
  else if (text.startsWith('\uFEFF'))
    refuse('starts with a byte order mark, which runtimes do not take; remove it', { line: 1, column: 1 })
  else if (/^\s*[{[]/.test(text) && !(yaml && !isJson(text))) readJson(text, contents)
  else readYaml(text, contents)
  const { configurations, passedOver, findings } = contents
  const nothing = configurations.length === 0 && findings.length === 0
  const kinds = [...new Set(passedOver)].join(', ')
  if (nothing)
    refuse(kinds ? `no network configuration, only ${kinds}; give a configuration, a plugin list or a ${NAD}` : EMPTY)
  return { ...contents, foreign: nothing && kinds !== '' }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    // U+FFFD is what has been put in the place of bytes that are no UTF-8.
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
  if (!placed) return
  // Strings of JSON have their line ends escaped: all that can be told is where the string begins.
  readDocument(placed, (path) => () => placed.at(path), contents)
}

function readYaml(text: string, contents: Collected): void {
  for (const document of parseYaml(text)) {
    for (const { position, message } of document.errors) {
      contents.findings.push({ severity: 'error', position, path: '', message: `not YAML: ${message}` })
    }
    if (document.errors.length === 0) readDocument(document, document.within, contents, 'yaml')
  }
}

function readDocument(placed: Placed, within: Within, contents: Collected, language: 'json' | 'yaml' = 'json'): void {
  const { value } = placed
  const say = sayer(placed, contents.findings)
  if (!isObject(value)) {
    say('error', [], 'must be an object: a network configuration has "cniVersion", "name" and "plugins" or "type"')
    return
  }
  const { kind, items } = value
  if (typeof kind === 'string' && /List$/.test(kind) && Array.isArray(items)) {
    for (const index of items.keys()) {
      readDocument(below(placed, ['items', index]), (path) => within(['items', index, ...path]), contents, language)
    }
  } else if (kind === NAD) {
    readAttachmentDefinition(placed, within, say, contents)
  } else if (kind === undefined && ('plugins' in value || 'type' in value)) {
    if (language === 'yaml') say('error', [], 'a network configuration must be JSON; no runtime reads it as YAML')
    else contents.configurations.push({ placed })
  } else {
    contents.passedOver.push(typeof kind === 'string' ? kind : 'a document without "kind"')
    contents.others.push(placed)
  }
}

function readAttachmentDefinition(placed: Placed, within: Within, say: Say, contents: Collected): void {
  const { apiVersion, metadata, spec } = placed.value as Record<string, unknown>
  const { name, namespace } = isObject(metadata) ? metadata : {}
  if (apiVersion !== 'k8s.cni.cncf.io/v1') say('error', ['apiVersion'], 'must be k8s.cni.cncf.io/v1')
  if (typeof name !== 'string' || name === '') say('error', ['metadata'], 'name: missing; pods name the network by it')
  const config = isObject(spec) ? spec.config : undefined
  if (config === undefined || config === '') {
    say('note', ['spec'], `config: missing; Multus then looks for a file of the network "${name}" on the node`)
    return
  }
  if (typeof config !== 'string') {
    say('error', ['spec', 'config'], 'must be a string that holds JSON; write "config: |" and the JSON below it')
    return
  }
  const inner = readPlaced(config, within(['spec', 'config']), contents, 'spec.config: not JSON: ')
  if (!inner) return
  contents.configurations.push({ attachmentDefinition: [namespace, name].filter(Boolean).join('/'), placed: inner })
}

function readPlaced(
  text: string,
  positionOf: (offset: number) => Position,
  { findings }: Collected,
  prefix: string,
): Placed | undefined {
  try {
    const document = parseJson(text)
    for (const { path, offset } of document.repeated) {
      const message = 'stands in this object twice; the last one counts'
      findings.push({ severity: 'warning', position: positionOf(offset), path: pathText(path), message })
    }
    return placedJson(document, positionOf)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    findings.push({
      severity: 'error',
      position: positionOf(error.offset),
      path: '',
      message: `${prefix}${error.message}`,
    })
    return undefined
  }
}
