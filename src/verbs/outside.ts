import type { ReadSet } from '../config/route-sets.ts'
import type { WithNetns } from '../kernel/netns.ts'

/** How a verb reaches what is outside of this process. */
export interface Outside {
  readonly withNetns: WithNetns
  readonly readSet: ReadSet
}
