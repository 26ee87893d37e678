import { CniError, Code, messageOf } from './errors.ts'
import { parseLinks, parseRoutes, SHOW_LINKS, SHOW_ROUTES, showRoutesTo } from './iproute2.ts'
import { DEFAULT_DST, type RouteOp, type Snapshot } from './route.ts'

/** What is asked of ip(8), and the snapshot that its answers make. */
export interface Look {
  /** Batch lines that answer with a line of JSON each. */
  readonly questions: readonly string[]
  /** @throws CniError 103 if an answer is no JSON */
  readonly snapshotOf: (answers: readonly string[]) => Snapshot
}

/** At everything. */
export const LOOK: Look = {
  questions: [SHOW_ROUTES, SHOW_LINKS],
  snapshotOf: (answers) => ({
    routes: parseAnswer(parseRoutes, answers[0]),
    links: parseAnswer(parseLinks, answers[1]),
  }),
}

/** At next to nothing: only to see whether ip(8) answers as it should. */
export const GLANCE: Look = {
  questions: [showRoutesTo(DEFAULT_DST[4])],
  snapshotOf: ([routes]) => ({ routes: parseAnswer(parseRoutes, routes), links: [] }),
}

/** Above so many routes ip(8) takes longer to print them all than to look for those to a few destinations. */
const MANY_ROUTES = 1000
const FEW_DESTINATIONS = 8

/**
 * After `ops`, where `seen` was before: at the routes. The interfaces are those from before: no operation of ours changes
 * them. In a pod with many routes only at the default routes, which every copy of the plugin writes to, and at those
 * to the destinations of `ops`.
 */
export function lookAgain(seen: Snapshot, ops: readonly RouteOp[]): Look {
  const everywhere: Look = {
    questions: [SHOW_ROUTES],
    snapshotOf: ([routes]) => ({ links: seen.links, routes: parseAnswer(parseRoutes, routes) }),
  }
  if (seen.routes.length <= MANY_ROUTES) return everywhere
  const touched = new Set([...Object.values(DEFAULT_DST), ...ops.map(({ route }) => route.dst)])
  if (touched.size > FEW_DESTINATIONS) return everywhere
  return {
    questions: [...touched].map(showRoutesTo),
    snapshotOf: (answers) => ({
      links: seen.links,
      routes: [
        ...seen.routes.filter(({ dst }) => !touched.has(dst)),
        ...[...touched].flatMap((_, i) => parseAnswer(parseRoutes, answers[i])),
      ],
    }),
  }
}

/** What `parse` makes of an answer. @throws CniError 103 if it is no JSON */
export function parseAnswer<T>(parse: (answer: string) => T, answer: string | undefined): T {
  try {
    return parse(answer ?? '')
  } catch (error) {
    throw new CniError(
      Code.toolMissing,
      'ip: answered something else than JSON; iproute2 5.3 or newer is needed',
      `${messageOf(error)}: ${(answer ?? '').slice(0, 200)}`,
      error,
    )
  }
}
