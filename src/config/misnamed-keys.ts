import leven from 'leven'
import { keyText } from './explain.ts'
import { CONF } from './schema.ts'

/** What libcni, runtimes, Multus and the specification put at the top of any plugin's configuration. */
const COMMON = [
  'cniVersion',
  'name',
  'type',
  'args',
  'capabilities',
  'runtimeConfig',
  'prevResult',
  'ipam',
  'dns',
  'ipMasq',
  'deviceID',
  'pciBusID',
  'disableCheck',
] as const

export const OUR_KEYS: readonly string[] = Object.keys(CONF._zod.def.shape)
const KNOWN: ReadonlySet<string> = new Set([...OUR_KEYS, ...COMMON])

/** Keys of route-override, in lower case since Go does not tell capitals apart. People come to us from there. */
export const OF_ROUTE_OVERRIDE: ReadonlyMap<string, string> = new Map([
  ['addroutes', 'write "routes"'],
  ['delroutes', 'write "defaultRoute" for default routes; no other route is removed'],
  ['flushroutes', 'write "defaultRoute": "remove" for default routes; no other route is removed'],
  ['flushgateway', 'write "defaultRoute": "remove"'],
  ['skipcheck', 'write "disableCheck": true beside "plugins"'],
])

/** A longer key resembles none of ours. */
const MAX_LENGTH = 20
/** Each key is compared with all of ours, and nobody has this many others. */
const MAX_COMPARED = 1_000

/**
 * Unknown keys at the top of a network configuration that were meant for us. If `defaultroute` were ignored, a default
 * route would be removed that was to be kept. All other unknown keys are none of our business: runtimes add some.
 * @returns what is wrong with each, key first
 */
export function misnamedKeys(conf: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = []
  let compared = 0
  for (const key in conf) {
    if (isKnown(key) || key.length > MAX_LENGTH) continue
    compared += 1
    if (compared > MAX_COMPARED) break
    const what = problemWith(key)
    if (what !== undefined) problems.push(`${keyText(key)}: ${what}`)
  }
  return problems
}

function problemWith(key: string): string | undefined {
  const instead = OF_ROUTE_OVERRIDE.get(key.toLowerCase())
  if (instead !== undefined) return `a key of route-override; ${instead}`
  const meant = meantBy(key)
  return meant === undefined ? undefined : `unknown key; did you mean "${meant}"?`
}

/** True for keys that belong at the top of a network configuration: ours, and those of runtimes. */
export function isKnown(key: string): boolean {
  return KNOWN.has(key) || key.startsWith('cni.dev/')
}

/** Which of our keys was meant by an unknown one, if any. */
export function meantBy(key: string): string | undefined {
  if (key.length > MAX_LENGTH) return undefined
  const plain = key.toLowerCase().replace(/[^a-z]/g, '')
  return OUR_KEYS.find((ours) => resembles(plain, ours.toLowerCase()))
}

/** One letter is wrong, missing, too many or elsewhere; two in longer names. */
function resembles(key: string, ours: string): boolean {
  if (Math.abs(key.length - ours.length) > 2) return false
  const distance = leven(key, ours)
  return distance <= (ours.length < 8 ? 1 : 2) || (distance === 2 && sorted(key) === sorted(ours))
}

function sorted(letters: string): string {
  return [...letters].sort().join('')
}
