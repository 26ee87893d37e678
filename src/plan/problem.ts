import { nicNames } from '../net/link.ts'
import type { Snapshot } from '../net/route.ts'

/** Why a configuration cannot be carried out in a pod. */
export interface Problem {
  /** The key path it is about: `routes[0].src`. */
  readonly at: string
  /** What is wrong; what to do. One line. */
  readonly says: string
}

/** Why no route can leave by the interface `dev`. */
export function nicProblem(at: string, dev: string, { links }: Snapshot): Problem | undefined {
  const link = links.find(({ ifname }) => ifname === dev)
  if (!link) return { at, says: `the pod has no interface ${dev}; it has ${nicNames(links)}` }
  if (!link.up) return { at, says: `interface ${dev} is down; the plugin that made it must set it up` }
  return undefined
}

export function isSame(a: Problem, b: Problem | undefined): boolean {
  return a.at === b?.at && a.says === b.says
}

export function problemText({ at, says }: Problem): string {
  return `${at}: ${says}`
}
