import { isObject } from '../cni/request.ts'
import { messageOf } from '../errors.ts'
import { parseRoutes } from '../net/iproute2.ts'
import { parseLinks } from '../net/iproute2-links.ts'
import type { Link } from '../net/link.ts'
import { devicesOf, type Route, Scope, type Snapshot } from '../net/route.ts'
import { Trouble } from './command.ts'

/** A snapshot made of saved routing tables, for a pod that is on another machine or gone. */
export function savedSnapshot(
  routes: { readonly file: string; readonly text: string },
  links: { readonly file: string; readonly text: string } | undefined,
  ifname: string,
): Snapshot {
  const parsed = parsing(routes, 'ip -json -details -Numeric route show table all', (text) =>
    parseRoutes(numeric(text)),
  )
  if (!links) return { routes: parsed, links: linksOf(parsed, ifname) }
  return { routes: parsed, links: parsing(links, 'ip -json -details address show', parseLinks) }
}

function parsing<T>({ file, text }: { file: string; text: string }, command: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    throw new Trouble(`${file}: not what "${command}" prints: ${messageOf(error)}`)
  }
}

/** The interfaces that routes use, taken to be up, with the addresses that routes have as local or as source. */
function linksOf(routes: readonly Route[], ifname: string): Link[] {
  const names = new Set([ifname, ...routes.flatMap(devicesOf)])
  return [...names].map((name) => {
    const own = routes.filter(({ dev }) => dev === name)
    const local = own.flatMap(({ type, dst, src }) => [
      ...(type === LOCAL ? [dst.split('/')[0] ?? ''] : []),
      ...(src === undefined ? [] : [src]),
    ])
    return { ifname: name, up: true, addresses: [...new Set(local)] }
  })
}

const LOCAL = 2

/** @see /etc/iproute2/rt_protos, rt_scopes, rt_tables; rtnetlink(7) */
const NUMBERS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  protocol: { redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9, bird: 12, dhcp: 16, bgp: 186 },
  scope: Scope,
  table: { default: 253, main: 254, local: 255 },
  type: {
    unicast: 1,
    local: LOCAL,
    broadcast: 3,
    anycast: 4,
    multicast: 5,
    blackhole: 6,
    unreachable: 7,
    prohibit: 8,
    throw: 9,
  },
}

/** Replaces the names that ip(8) prints without -Numeric. */
function numeric(text: string): string {
  const routes: unknown = JSON.parse(text)
  if (!Array.isArray(routes)) throw new Error('not a list of routes')
  return JSON.stringify(
    routes.map((route: unknown) => {
      if (!isObject(route) || typeof route.dst !== 'string') throw new Error('not a list of routes')
      const named = Object.entries(NUMBERS).flatMap(([key, numbers]) => {
        const { [key]: word } = route
        if (word === undefined || /^\d+$/.test(String(word))) return []
        const number = numbers[String(word)]
        if (number === undefined)
          throw new Error(`the ${key} ${String(word)} is unknown here; save the routes with -Numeric`)
        return [[key, String(number)]]
      })
      return { ...route, ...Object.fromEntries(named) }
    }),
  )
}
