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

/** Keys of route-override, which people come from, in lower case: Go does not tell capitals apart. */
export const OF_ROUTE_OVERRIDE: ReadonlyMap<string, string> = new Map([
  ['addroutes', 'write "routes"'],
  ['delroutes', 'write "defaultRoute" for default routes; no other route is removed'],
  ['flushroutes', 'write "defaultRoute": "remove" for default routes; no other route is removed'],
  ['flushgateway', 'write "defaultRoute": "remove"'],
  ['skipcheck', 'write "disableCheck": true beside "plugins"'],
])

/** Longer ones resemble none of ours. */
const LONGEST = 20
/** Nobody writes that many keys that are not ours; each is compared with all of ours. */
const MOST = 1_000

/**
 * Keys at the top of a network configuration that were meant for us and are none of ours. Other unknown keys are nobody's
 * business: runtimes put some there. But ignored, `defaultroute` would remove a default route that was to be kept.
 * @returns what is wrong with each, key first
 */
export function strangeKeys(conf: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = []
  let looked = 0
  for (const key in conf) {
    if (isKnown(key) || key.length > LONGEST) continue
    looked += 1
    if (looked > MOST) break
    const what = strangeness(key)
    if (what !== undefined) problems.push(`${keyText(key)}: ${what}`)
  }
  return problems
}

function strangeness(key: string): string | undefined {
  const instead = OF_ROUTE_OVERRIDE.get(key.toLowerCase())
  if (instead !== undefined) return `a key of route-override, and none here; ${instead}`
  const meant = meantBy(key)
  return meant === undefined ? undefined : `unknown key; did you mean "${meant}"?`
}

/** True for the keys that there are at the top of a network configuration: ours, and those of runtimes. */
export function isKnown(key: string): boolean {
  return KNOWN.has(key) || key.startsWith('cni.dev/')
}

/** Which of our keys was meant by a key that is none, if it was one. */
export function meantBy(key: string): string | undefined {
  if (key.length > LONGEST) return undefined
  const plain = key.toLowerCase().replace(/[^a-z]/g, '')
  return OUR_KEYS.find((ours) => resembles(plain, ours.toLowerCase()))
}

/** One letter wrong, missing, too many or in another place; of the longer names two. */
function resembles(key: string, ours: string): boolean {
  if (Math.abs(key.length - ours.length) > 2) return false
  const distance = leven(key, ours)
  return distance <= (ours.length < 8 ? 1 : 2) || (distance === 2 && sorted(key) === sorted(ours))
}

function sorted(letters: string): string {
  return [...letters].sort().join('')
}
