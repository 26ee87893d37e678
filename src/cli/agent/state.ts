import type { PluginState } from './keep-plugin.ts'
import type { PodsState } from './keep-pods.ts'
import type { SetsState } from './keep-sets.ts'

/** All that the agent tells of itself. */
export interface AgentState {
  readonly version: string
  readonly plugin: PluginState
  /** Absent if it copies none. */
  readonly sets?: SetsState
  readonly pods: PodsState
  /** How often each part of its work could not be done. */
  readonly troubles: Readonly<Record<Part, number>>
}

export const PARTS = ['plugin', 'sets', 'pods', 'metrics'] as const
export type Part = (typeof PARTS)[number]

/**
 * Why the node is not ready for pods; empty if it is. That is a matter of the plugin, and of the sets that pods of the node
 * already have: neither what tenants do to their pods nor a new set that is wrong must stop a rollout.
 */
export function lacking({ plugin, sets, pods }: Lacking): string[] {
  return [
    ...(plugin.inPlace ? [] : [plugin.why ?? 'the plugin is not in place']),
    ...(sets && !sets.read ? ['the sets have not been read yet'] : []),
    ...(sets?.sets ?? []).flatMap(({ prefixes, name }) =>
      prefixes === undefined && pods.sets?.includes(name) ? [`set ${name}: the node has no good version of it`] : [],
    ),
  ]
}

interface Lacking extends Pick<AgentState, 'plugin' | 'sets'> {
  readonly pods: Pick<PodsState, 'sets'>
}
