import { isObject } from '../../cni/request.ts'
import { parseSet } from '../../config/route-sets.ts'
import { setNameProblem } from '../../config/schema.ts'
import type { Say } from './finding.ts'

/** A route set in a manifest. */
export interface SetText {
  readonly configMap: string
  readonly name: string
  readonly text: string
}

/** The ConfigMap that the agent's DaemonSet mounts; kustomize may have added a hash to its name. */
export const SETS_CONFIG_MAP = 'x-calico-route-sets'

/** The route sets of a manifest; none unless it is that ConfigMap. */
export function setTextsIn({ kind, metadata, data }: Readonly<Record<string, unknown>>): SetText[] {
  const { name } = isObject(metadata) ? metadata : {}
  if (kind !== 'ConfigMap' || typeof name !== 'string' || !isObject(data)) return []
  if (name !== SETS_CONFIG_MAP && !name.startsWith(`${SETS_CONFIG_MAP}-`)) return []
  return Object.entries(data).flatMap(([key, text]) =>
    typeof text === 'string' ? { configMap: name, name: key, text } : [],
  )
}

/**
 * Reports what the agent would refuse of a set.
 * @param sayAt reports an error at an offset of the text
 */
export function checkSetText(
  { name, text }: SetText,
  say: Say,
  sayAt: (offset: number, message: string) => void,
): void {
  const problem = setNameProblem(name)
  if (problem !== undefined) say('XCR019', ['data', name], problem, 'key')
  const parsed = parseSet(text)
  if ('prefixes' in parsed) return
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  for (const { line, says } of parsed.problems) {
    const start = starts[(line ?? 1) - 1] ?? 0
    sayAt(start + text.slice(start).search(/\S|$/), says)
  }
}
