/** Why a configuration cannot be carried out in a pod. */
export interface Problem {
  /** The key path it is about: `routes[0].src`. */
  readonly at: string
  /** What is wrong; what to do. One line. */
  readonly says: string
}

export function problemText({ at, says }: Problem): string {
  return `${at}: ${says}`
}
