import { CniError, Code, messageOf, TooMuch } from '../errors.ts'
import { getWay, parseLinks, parseRoutes, SHOW_LINKS, SHOW_ROUTES, showRoutesTo } from '../net/iproute2.ts'
import { DEFAULT_DST, isMainDefault, type Link, type Route, type RouteOp, type Snapshot } from '../net/route.ts'
import type { Bounds, Lens } from '../plan/needed.ts'

/** What is asked of ip(8), and what the answers make. */
export interface Look<T> {
  /** Batch lines that answer with a line of JSON each. */
  readonly questions: readonly string[]
  readonly listen: () => Listener<T>
}

/** Hears the answers to the questions of one look. */
export interface Listener<T> {
  /**
   * @param question which one it answers, from 0
   * @param json an array of objects: the whole answer, or as many of a long one as have come
   * @throws CniError 103 if it is no JSON, TooMuch if it is more than can be kept
   */
  readonly take: (question: number, json: string, whole: boolean) => void
  /** Once all is answered. */
  readonly heard: () => T
}

/** Nobody has so many but who wants to see what becomes of us. */
const MOST_DEFAULTS = 500
const MOST_LINKS = 2000

/** At the routes and, if `links`, the interfaces; at what `bounds` leave of a long answer. */
export function lookAt(bounds: Bounds, { links }: { readonly links: boolean }): Look<Snapshot> {
  return {
    questions: links ? [SHOW_ROUTES, SHOW_LINKS] : [SHOW_ROUTES],
    listen: () => {
      const [routes, nics] = [routeListener(bounds), linkListener()]
      return {
        take: (question, json, whole) => (question === 0 ? routes : nics).take(question, json, whole),
        heard: () => ({ ...routes.heard(), links: nics.heard() }),
      }
    },
  }
}

/** For who needs all there is, as far as that can be held. */
export const EVERYTHING: Bounds = { lens: () => () => true, most: () => 100_000 }

/** At next to nothing: only to see whether ip(8) answers as it should. */
export const GLANCE: Look<Snapshot> = {
  questions: [showRoutesTo(DEFAULT_DST[4])],
  listen: () => withLinks(routeListener({ lens: () => () => false, most: () => 1000 }), []),
}

/** Above so many routes ip(8) takes longer to print them all than to look for those to a few destinations. */
const MANY_ROUTES = 1000
const FEW_DESTINATIONS = 8

/**
 * After `ops`, where `seen` was before: at the routes. The interfaces are those from before: no operation of ours changes
 * them. In a pod with many routes only at the default routes, which every copy of the plugin writes to, and at those
 * to the destinations of `ops`.
 */
export function lookAgain(seen: Snapshot, ops: readonly RouteOp[], bounds: Bounds): Look<Snapshot> {
  const everywhere: Look<Snapshot> = {
    questions: [SHOW_ROUTES],
    listen: () => withLinks(routeListener(bounds), seen.links),
  }
  if (seen.routes.length + (seen.leftOut ?? 0) <= MANY_ROUTES) return everywhere
  const touched = new Set([...Object.values(DEFAULT_DST), ...ops.map(({ route }) => route.dst)])
  if (touched.size > FEW_DESTINATIONS) return everywhere
  return {
    questions: [...touched].map(showRoutesTo),
    listen: () => {
      const { take, heard } = withLinks(routeListener(bounds), seen.links)
      const untouched = seen.routes.filter(({ dst }) => !touched.has(dst))
      const together = (now: Snapshot) => ({ ...now, leftOut: seen.leftOut, routes: [...untouched, ...now.routes] })
      return { take, heard: () => together(heard()) }
    },
  }
}

/** At the ways that packets to `addresses` take, which come into `ways`: the kernel has no answer where it has no way. */
export function waysInto(ways: Map<string, Route>, addresses: readonly string[]): Look<void> {
  const take = (_: number, json: string) => {
    for (const way of parsed(parseRoutes, json)) ways.set(way.dst.replace(/\/.*$/, ''), way)
  }
  return { questions: addresses.map(getWay), listen: () => ({ take, heard: () => {} }) }
}

function withLinks(routes: Listener<Omit<Snapshot, 'links'>>, links: readonly Link[]): Listener<Snapshot> {
  return { take: routes.take, heard: () => ({ ...routes.heard(), links }) }
}

/** Hears of routes; of several answers all together. */
function routeListener({ lens, most }: Bounds): Listener<Omit<Snapshot, 'links'>> {
  const routes: Route[] = []
  let isNeeded: Lens | undefined
  let [limit, leftOut, weight, defaults] = [0, 0, 0, 0]
  /** Of a long answer. */
  const keep = (route: Route) => {
    if (!isNeeded) [isNeeded, limit] = [lens(), most()]
    const isDefault = isMainDefault(route)
    if (isDefault) defaults += weightOf(route)
    if ((isDefault && defaults > MOST_DEFAULTS) || !isNeeded(route)) {
      leftOut += 1
      return
    }
    weight += weightOf(route)
    if (weight > limit) throw tooMany(`more than ${limit} routes that matter to this configuration`)
    routes.push(route)
  }
  return {
    take: (_, json, whole) => {
      const heard = parsed(parseRoutes, json)
      if (whole) routes.push(...heard)
      else heard.forEach(keep)
    },
    heard: () => ({
      routes,
      ...(leftOut > 0 ? { leftOut } : {}),
      ...(defaults > MOST_DEFAULTS ? { tooManyDefaults: true } : {}),
    }),
  }
}

const weightOf = ({ nexthops, extra }: Route) => (nexthops?.length ?? 1) + (extra ? 1 : 0)

function linkListener(): Listener<readonly Link[]> {
  const links: Link[] = []
  let weight = 0
  return {
    take: (_, json, whole) => {
      for (const link of parsed(parseLinks, json)) {
        weight += 1 + link.addresses.length
        if (!whole && weight > MOST_LINKS) throw tooMany(`more than ${MOST_LINKS} interfaces and addresses`)
        links.push(link)
      }
    },
    heard: () => links,
  }
}

function tooMany(what: string): TooMuch {
  return new TooMuch(`ip: the pod has ${what}; whoever has CAP_NET_ADMIN in it made them, and must remove them`)
}

/** What `parse` makes of an answer. @throws CniError 103 if it is no JSON */
export function parsed<T>(parse: (answer: string) => T, answer: string): T {
  try {
    return parse(answer)
  } catch (error) {
    throw new CniError(
      Code.toolMissing,
      'ip: answered something else than JSON; iproute2 5.3 or newer is needed',
      `${messageOf(error)}: ${answer.slice(0, 200)}`,
      error,
    )
  }
}
