import { CniError, Code, messageOf, TooMuch } from '../errors.ts'
import type { Family } from '../net/address.ts'
import { getRoute, parseRoutes, SHOW_ROUTES, showRoutesTo } from '../net/iproute2.ts'
import { parseLinks, SHOW_LINKS } from '../net/iproute2-links.ts'
import { parseRules, SHOW_RULES } from '../net/iproute2-rules.ts'
import type { Link } from '../net/link.ts'
import {
  DEFAULT_DST,
  isMainDefault,
  type Op,
  type Route,
  type RouteOp,
  routeOpsIn,
  type Snapshot,
} from '../net/route.ts'
import { isOurRule, type Rule } from '../net/rule.ts'
import type { Bounds, RouteFilter } from '../plan/needed.ts'

/** The questions to ip(8), and what to make of its answers. */
export interface Look<T> {
  /** Batch lines. Each is answered with one line of JSON. */
  readonly questions: readonly string[]
  readonly listen: () => Listener<T>
  /**
   * Whether IPv6 rules are to be listed as well, given what was heard: it takes another ip(8). Absent if no rules are asked
   * for.
   */
  readonly rules6?: (heard: T) => boolean
  /** If the rules of IPv6 cannot be listed, everything else is done all the same, and that failure is told in the end. */
  readonly goesOn?: boolean
}

/** Takes the answers to the questions of one look. */
export interface Listener<T> {
  /**
   * @param question the index of the question
   * @param json an array of objects: the whole answer, or a piece of a long one
   * @throws CniError 103 if it is not JSON, TooMuch if it is more than can be kept
   */
  readonly take: (question: number, json: string, whole: boolean) => void
  /** What all answers together say. */
  readonly heard: () => T
}

/**
 * How many default routes of a long answer are kept, and how many interfaces with their addresses: only somebody who
 * attacks the plugin makes more.
 */
const MAX_DEFAULTS = 500
const MAX_LINKS = 2000
const MAX_RULES = 2000

/** What a look sees besides routes. */
export interface Seen {
  readonly links: boolean
  /** Rules too: those of IPv6 if this says so. */
  readonly rules6?: ((snapshot: Snapshot) => boolean) | undefined
}

/** Looks at the routes, and what else is asked for. Of a long answer, only what `bounds` need is kept. */
export function lookAt(bounds: Bounds, { links, rules6 }: Seen): Look<Snapshot> {
  const look: Look<Snapshot> = {
    questions: links ? [SHOW_ROUTES, SHOW_LINKS] : [SHOW_ROUTES],
    listen: () => {
      const [routes, nics] = [routeListener(bounds), linkListener()]
      return {
        take: (question, json, whole) => (question === 0 ? routes : nics).take(question, json, whole),
        heard: () => ({ ...routes.heard(), links: nics.heard() }),
      }
    },
  }
  return rules6 ? { ...withRules(look), rules6 } : look
}

/** The same look, at IPv4 rules as well. */
function withRules({ questions, listen }: Look<Snapshot>): Look<Snapshot> {
  return {
    questions: [...questions, SHOW_RULES],
    listen: () => {
      const [others, rules] = [listen(), ruleListener(4)]
      return {
        take: (question, json, whole) => (question < questions.length ? others : rules).take(question, json, whole),
        heard: () => ({ ...others.heard(), rules: rules.heard() }),
      }
    },
  }
}

/** For an ip(8) that was called with -6. */
export const RULES6: Look<readonly Rule[]> = { questions: [SHOW_RULES], listen: () => ruleListener(6) }

/** Keeps every route, up to 100,000: for a reader who needs everything. */
export const EVERYTHING: Bounds = { filter: () => () => true, max: () => 100_000 }

/** Looks at next to nothing, to see whether ip(8) answers as it should. */
export const GLANCE: Look<Snapshot> = {
  questions: [showRoutesTo(DEFAULT_DST[4])],
  listen: () => withLinks(routeListener({ filter: () => () => false, max: () => 1000 }), []),
}

/** With more routes than this, ip(8) takes longer to print them all than to find those to a few destinations. */
const MANY_ROUTES = 1000
const FEW_DESTINATIONS = 8

/**
 * Looks at the routes again after `ops`; `seen` was before. The interfaces are taken from there: no operation of ours
 * changes them. In a pod with many routes it looks only at those to the destinations of `ops`, and at the default
 * routes, which every copy of the plugin writes to.
 */
export function lookAgain(seen: Snapshot, ops: readonly Op[], bounds: Bounds): Look<Snapshot> {
  const again = lookAtRoutes(seen, routeOpsIn(ops), bounds)
  return seen.rules ? withRules(again) : again
}

function lookAtRoutes(seen: Snapshot, ops: readonly RouteOp[], bounds: Bounds): Look<Snapshot> {
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

/**
 * Looks up the route of a packet to each of `addresses`, also to one `from` another, and puts it into `chosen`. Those
 * without a route are left out.
 */
export function lookUpInto(chosen: Map<string, Route>, addresses: readonly string[]): Look<void> {
  const take = (_: number, json: string) => {
    for (const route of parsed(parseRoutes, json)) chosen.set(askedFor(route), route)
  }
  return { questions: addresses.map(getRoute), listen: () => ({ take, heard: () => {} }) }
}

/** An address as it was asked for. Without a source, IPv6 shows the unspecified one. */
function askedFor({ dst, from }: Route): string {
  const address = dst.replace(/\/.*$/, '')
  return from === undefined || from === '::' ? address : `${address} from ${from}`
}

function withLinks(routes: Listener<Omit<Snapshot, 'links'>>, links: readonly Link[]): Listener<Snapshot> {
  return { take: routes.take, heard: () => ({ ...routes.heard(), links }) }
}

/** Takes routes, of all answers together. */
function routeListener({ filter, max }: Bounds): Listener<Omit<Snapshot, 'links'>> {
  const routes: Route[] = []
  let isNeeded: RouteFilter | undefined
  let [limit, leftOut, weight, defaults] = [0, 0, 0, 0]
  /** Keeps a route of a long answer if it is needed. */
  const keep = (route: Route) => {
    if (!isNeeded) [isNeeded, limit] = [filter(), max()]
    const isDefault = isMainDefault(route)
    if (isDefault) defaults += weightOf(route)
    if ((isDefault && defaults > MAX_DEFAULTS) || !isNeeded(route)) {
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
      ...(defaults > MAX_DEFAULTS ? { tooManyDefaults: true } : {}),
    }),
  }
}

const weightOf = ({ nexthops, attributes, extra }: Route) => (nexthops?.length ?? 1) + (attributes || extra ? 1 : 0)

function linkListener(): Listener<readonly Link[]> {
  const links: Link[] = []
  let weight = 0
  return {
    take: (_, json, whole) => {
      for (const link of parsed(parseLinks, json)) {
        weight += 1 + link.addresses.length
        if (!whole && weight > MAX_LINKS) throw tooMany(`more than ${MAX_LINKS} interfaces and addresses`)
        links.push(link)
      }
    },
    heard: () => links,
  }
}

/** Ours, and in an ordinary pod all others as well. */
function ruleListener(family: Family): Listener<readonly Rule[]> {
  const rules: Rule[] = []
  return {
    take: (_, json, whole) => {
      const heard = parsed((answer) => parseRules(answer, family), json)
      rules.push(...(whole ? heard : heard.filter(isOurRule)))
      if (rules.length > MAX_RULES) throw tooMany(`more than ${MAX_RULES} rules`)
    },
    heard: () => rules,
  }
}

function tooMany(what: string): TooMuch {
  return new TooMuch(`ip: the pod has ${what}; somebody with CAP_NET_ADMIN in it made them and must remove them`)
}

/** What `parse` makes of an answer. @throws CniError 103 if it is not JSON */
export function parsed<T>(parse: (answer: string) => T, answer: string): T {
  try {
    return parse(answer)
  } catch (error) {
    throw new CniError(
      Code.toolMissing,
      'ip: answered with something other than JSON; install iproute2 5.3 or newer',
      `${messageOf(error)}: ${answer.slice(0, 200)}`,
      error,
    )
  }
}
