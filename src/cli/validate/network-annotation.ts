import { isIP } from 'node:net'
import leven from 'leven'
import { isObject } from '../../cni/request.ts'
import { quote } from '../../errors.ts'
import type { FindingCode } from './codes.ts'
import { JsonProblem, type Path, type Place, parseJson } from './json.ts'

/** A network that an annotation of Multus asks for. */
export interface Selection {
  /** `kube-system/calico-underlay`, for each namespace that may be meant; without namespace if it is unknown. */
  readonly names: readonly string[]
  /** Where the annotation names it, if that is JSON. */
  readonly path: Path
  /** The name of its NIC, if the annotation gives one. */
  readonly ifname?: string
  readonly cniArgs?: CniArgs
}

/** What Multus passes on as `args.cni`. */
export interface CniArgs {
  readonly path: Path
  readonly value: Readonly<Record<string, unknown>>
}

/** What is wrong with an annotation. */
export interface AnnotationProblem {
  readonly code: FindingCode
  readonly says: string
  /** The part that it is about, if the annotation is JSON. */
  readonly path?: Path
  readonly what?: 'key'
}

export interface ReadAnnotation {
  readonly selections: readonly Selection[]
  readonly problems: readonly AnnotationProblem[]
  /** Where the parts of JSON are in the text; for a text that is not JSON, where that shows. */
  readonly place?: Place
}

/**
 * The networks that an annotation names: `namespace/name@interface, …`, or a JSON list of objects.
 * @param namespaces where Multus looks for a network without namespace
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/pkg/k8sclient/k8sclient.go parsePodNetworkAnnotation
 */
export function readAnnotation(text: string, namespaces: readonly string[]): ReadAnnotation {
  if (text === '') return { selections: [], problems: [] }
  if (!/[[{"]/.test(text)) return readNames(text, namespaces)
  return readList(text, namespaces)
}

function readList(text: string, namespaces: readonly string[]): ReadAnnotation {
  try {
    const { value: list, place } = parseJson(text)
    if (!Array.isArray(list)) return { selections: [], problems: [refused(NO_LIST)], place }
    return {
      selections: list.flatMap((one, index) => selectionOf(one, index, namespaces)),
      problems: list.flatMap(problemsWith),
      place,
    }
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    const says = `not JSON: ${error.message}; Multus refuses the pod`
    return { selections: [], problems: [refused(says)], place: { value: error.offset } }
  }
}

const NO_LIST = 'must be a list of objects, so Multus refuses the pod; write [{"name": "NAME"}]'

const refused = (says: string, path: Path = []): AnnotationProblem => ({ code: 'XCR501', says, path })

function readNames(text: string, namespaces: readonly string[]): ReadAnnotation {
  const items = text.split(',').map((item) => item.trim())
  return {
    selections: items
      .filter((item) => item !== '' && NAME.test(item))
      .map((item) => {
        const [name = '', ifname = ''] = item.split('@')
        return { names: withNamespaces(name, namespaces), path: [], ...named(ifname.trim()) }
      }),
    problems: items.flatMap((item) => nameProblem(item) ?? []),
  }
}

const named = (ifname: unknown) => (typeof ifname === 'string' && ifname !== '' ? { ifname } : {})

const NAME = /^(?:([^/@]*)\/)?([^/@]*)(?:@([^/@]*))?$/

/** `namespace/name@interface`. @see parsePodNetworkObjectName of the same file */
function nameProblem(item: string): AnnotationProblem | undefined {
  if (item === '') return refused('a name is missing beside a comma, so Multus refuses the pod; remove the comma')
  const [, namespace = '', name = '', ifname = ''] = NAME.exec(item) ?? []
  // An empty namespace is the pod's own.
  if (![namespace.trim() || 'own', name.trim()].every((label) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(label)))
    return refused(`${quote(item)} is not NAMESPACE/NAME@INTERFACE in lower case, so Multus refuses the pod`)
  const at = ifname.trim()
  if (at.length > 15 || /\s/.test(at))
    return refused(
      `${quote(at)} is not the name of an interface, so Multus refuses the pod; write at most 15 characters`,
    )
  return undefined
}

function selectionOf(one: unknown, index: number, namespaces: readonly string[]): Selection[] {
  if (!isObject(one) || typeof one.name !== 'string') return []
  const { name, namespace, interface: ifname, 'cni-args': cniArgs } = one
  const own = typeof namespace === 'string' && namespace !== ''
  return [
    {
      names: own ? [`${namespace}/${name}`] : withNamespaces(name, namespaces),
      path: [index, 'name'],
      ...named(ifname),
      ...(isObject(cniArgs) ? { cniArgs: { path: [index, 'cni-args'], value: cniArgs } } : {}),
    },
  ]
}

export function withNamespaces(name: string, namespaces: readonly string[]): string[] {
  const own = name.trim().replace(/^\//, '')
  if (own.includes('/') || namespaces.length === 0) return [own]
  return namespaces.map((namespace) => `${namespace}/${own}`)
}

const isText = (value: unknown) => typeof value === 'string'
const IFNAME = 'the name of an interface, at most 15 characters'
/** @see https://github.com/containernetworking/cni/blob/main/pkg/utils/utils.go ValidateInterfaceName */
const isIfname = (value: unknown) => typeof value === 'string' && value.length <= 15 && !/[\s/:]|^\.\.?$/.test(value)
/** In Go's forms. An empty string, which a template may leave, asks for none. @see https://pkg.go.dev/net#ParseMAC */
const isMac = (value: unknown) =>
  typeof value === 'string' &&
  (value === '' ||
    /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}(?:(?:\1[0-9a-f]{2}){2}|(?:\1[0-9a-f]{2}){14})?)$/i.test(
      value,
    ) ||
    /^[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}(?:\.[0-9a-f]{4}|(?:\.[0-9a-f]{4}){7})?$/i.test(value))
const isList = (is: (item: string) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every((item) => typeof item === 'string' && is(item))
/** As Go reads it: with IPv4 notation inside IPv6, without a zone. */
const isAddress = (item: string) => isIP(item) > 0 && !item.includes('%')

function isPrefix(item: string): boolean {
  const [, address = '', length] = /^([^/]+)\/(\d{1,3})$/.exec(item) ?? []
  return isAddress(address) && Number(length) <= (address.includes(':') ? 128 : 32)
}

/**
 * The keys of an object of the list, and what each must be. Multus ignores others.
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/pkg/types/types.go NetworkSelectionElement
 */
const KEYS: Readonly<Record<string, readonly [is: (value: unknown) => boolean, what: string]>> = {
  name: [isText, 'a string'],
  namespace: [isText, 'a string'],
  interface: [isIfname, IFNAME],
  interfaceRequest: [isIfname, IFNAME],
  mac: [isMac, 'a MAC address'],
  'infiniband-guid': [isText, 'a string'],
  ips: [isList((item) => isAddress(item) || isPrefix(item)), 'a list of addresses'],
  'default-route': [isList(isAddress), 'a list of gateways'],
  'cni-args': [isObject, 'an object'],
  portMappings: [Array.isArray, 'a list'],
  bandwidth: [isObject, 'an object'],
  deviceID: [isText, 'a string'],
  'ipam-claim-reference': [isText, 'a string'],
}

function problemsWith(one: unknown, index: number): AnnotationProblem[] {
  if (!isObject(one))
    return [refused(`must be an object with "name", is ${quote(one)}, so Multus refuses the pod`, [index])]
  const { name } = one
  const problems = Object.entries(one).flatMap(([key, value]) => keyProblem(key, value, [index, key]) ?? [])
  if (name === undefined || name === '')
    problems.push(refused('name: missing, so Multus refuses the pod; write the name of a network', [index]))
  if (typeof name === 'string' && name.includes('/')) {
    const [namespace, rest] = name.split('/')
    const says = `JSON has its own key for the namespace; write "namespace": "${namespace}", "name": "${rest}"`
    problems.push(refused(says, [index, 'name']))
  }
  return problems
}

function keyProblem(key: string, value: unknown, path: Path): AnnotationProblem | undefined {
  // Go does not tell capitals apart.
  const known = Object.keys(KEYS).find((one) => one.toLowerCase() === key.toLowerCase())
  if (known === undefined) {
    const [nearest = ''] = Object.keys(KEYS).toSorted((a, b) => leven(key, a) - leven(key, b))
    const hint = leven(key, nearest) <= 3 ? `; did you mean "${nearest}"?` : ''
    return { code: 'XCR505', says: `unknown key, which Multus ignores${hint}`, path, what: 'key' }
  }
  const [is, what] = KEYS[known] ?? []
  if (value === null || is?.(value)) return undefined
  return refused(`must be ${what}, is ${quote(value)}, so Multus refuses the pod`, path)
}
