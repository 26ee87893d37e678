import { isObject } from '../../cni/request.ts'
import type { Path } from './json.ts'
import { below, type Placed } from './position.ts'

/** Plugins that call those of their `delegates`. @see https://github.com/k8snetworkplumbingwg/multus-cni pkg/types/conf.go */
const MULTUS: readonly unknown[] = ['multus', 'multus-shim']

export const isMultus = ({ type }: Readonly<Record<string, unknown>>): boolean => MULTUS.includes(type)

/** A configuration inside one of Multus. */
export interface Delegate {
  readonly placed: Placed
  /** Its path in the outermost one. */
  readonly base: Path
}

/** The delegates of a configuration of Multus, and theirs in turn. */
export function delegatesIn(placed: Placed): Delegate[] {
  const found: Delegate[] = []
  const search = (outer: Placed, base: Path) => {
    for (const step of stepsIn(outer.value)) {
      const one = { placed: below(outer, step), base: [...base, ...step] }
      found.push(one)
      search(one.placed, one.base)
    }
  }
  search(placed, [])
  return found
}

export function hasDelegates({ value }: Placed): boolean {
  return stepsIn(value).length > 0
}

/** The path to each of its delegates. */
function stepsIn(value: unknown): Path[] {
  const plugins: readonly unknown[] = isObject(value) && Array.isArray(value.plugins) ? value.plugins : [value]
  return plugins.flatMap((plugin, index) => {
    if (!isObject(plugin) || !isMultus(plugin) || !Array.isArray(plugin.delegates)) return []
    const inside = plugin === value ? ['delegates'] : ['plugins', index, 'delegates']
    return [...plugin.delegates.keys()].map((delegate) => [...inside, delegate])
  })
}
