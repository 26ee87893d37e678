import { CniError } from '../errors.ts'
import { readRoutes } from '../kernel/change.ts'
import { converse } from '../kernel/ip.ts'
import { type Look, lookUpInto, parsed } from '../kernel/look.ts'
import { type Netns, withNetns } from '../kernel/netns.ts'
import { isWithin } from '../net/address.ts'
import { parseRoutes } from '../net/iproute2.ts'
import { SHOW_LINKS } from '../net/iproute2-links.ts'
import type { Route, Snapshot } from '../net/route.ts'
import { onThisSide } from './node-root.ts'
import { INIT_NETNS, OWN_NETNS } from './pod-netns.ts'
import { type End, hostEndOf, missingReturnPath, type Nic, nicOf, parseEnds } from './return-path.ts'

/** Notes, during a look at a pod, the NIC that the node must have a return path to. */
export interface PodLook {
  readonly overhear: (look: Look<Snapshot>) => Look<Snapshot>
  /** The NIC, after the look. @param result the Result that has its addresses */
  readonly nic: (result: unknown) => Nic | undefined
}

/** @param maker the type of the first plugin of the chain */
export function podLook(ifname: string, maker: string | undefined): PodLook {
  const ends: End[] = []
  const overhear: PodLook['overhear'] = (look) => {
    const asked = look.questions.indexOf(SHOW_LINKS)
    const listen = () => {
      ends.length = 0
      const { take, heard } = look.listen()
      return {
        take: (question: number, json: string, whole: boolean) => {
          take(question, json, whole)
          if (question === asked) ends.push(...parsed(parseEnds, json))
        },
        heard,
      }
    }
    return { ...look, listen }
  }
  return { overhear, nic: (result) => nicOf(ends, { ifname, maker, result }) }
}

/**
 * What is wrong with the node's routes to NICs of pods, for each address. A network namespace is the node's if the host
 * veth of the NIC is in it. On the node and in a container with hostNetwork, that is our own; otherwise we try that of
 * the node's first process. Nothing is said of a NIC whose host veth is in neither.
 * @param root where the node's root directory is mounted
 * @throws CniError 100, 103, 104 if the routes of our own namespace cannot be asked for
 */
export async function missingReturnPaths(
  nics: readonly Nic[],
  root: string,
): Promise<ReadonlyMap<Nic, readonly string[]>> {
  const said = new Map<Nic, readonly string[]>()
  if (nics.length === 0) return said
  const left = await withNetns(OWN_NETNS, TIME_LIMIT_MS, (own) => ask(own, nics, said))
  if (left.length > 0) {
    await withNetns(onThisSide(root, INIT_NETNS), TIME_LIMIT_MS, async (first) => {
      if (!first.own) await ask(first, left, said)
    }).catch(unlessUnseen)
  }
  return said
}

/** A node may have very many routes. */
const TIME_LIMIT_MS = 30_000

function unlessUnseen(error: unknown): void {
  if (!(error instanceof CniError)) throw error
}

/** One ip(8) for all NICs. @returns those whose host veth is not in the namespace */
async function ask(netns: Netns, nics: readonly Nic[], said: Map<Nic, readonly string[]>): Promise<Nic[]> {
  const hosts = new Map<Nic, End>()
  const ways = new Map<string, Route>()
  // For an address without a route ip(8) prints an error, and goes on.
  await converse(netns, 'go on', async (ip) => {
    const { heard: veths } = await ip.ask(listOf(parseEnds, ['link show type veth']))
    for (const nic of nics) {
      const end = hostEndOf(nic, veths)
      if (end) hosts.set(nic, end)
    }
    const addresses = unique(routed(hosts).flatMap(([nic]) => nic.addresses))
    const { failure } = await ip.tell([], lookUpInto(ways, addresses))
    if (failure?.error !== undefined) throw failure.error
  })
  const lost = unique(routed(hosts).flatMap(([nic]) => nic.addresses)).filter((address) => !ways.has(address))
  const around = lost.length > 0 ? await routesAround(netns, lost) : []
  for (const [nic, { ifname }] of routed(hosts)) {
    const problems = nic.addresses.flatMap((address) => {
      const way = ways.get(address)
      const told = way ? { way } : { around: around.filter(({ dst }) => isWithin(address, dst)) }
      return missingReturnPath(address, ifname, told) ?? []
    })
    said.set(nic, problems)
  }
  return nics.filter((nic) => !hosts.has(nic))
}

const unique = (addresses: readonly string[]) => [...new Set(addresses)]

/** The NICs that the node's routes lead to. A host veth in a bridge, OVS or a VRF is reached in other ways. */
const routed = (hosts: ReadonlyMap<Nic, End>) => [...hosts].filter(([, { master }]) => master === undefined)

/** Makes ip(8) read every route of the node, perhaps a million. It only adds to the message, so its failure does not matter. */
async function routesAround(netns: Netns, addresses: readonly string[]): Promise<readonly Route[]> {
  const look = listOf(
    parseRoutes,
    addresses.map((address) => `route show table all match ${address}`),
  )
  return readRoutes(netns, look).catch((error) => {
    if (!(error instanceof CniError)) throw error
    return []
  })
}

/** A look that collects what the answers list. */
function listOf<T>(parse: (json: string) => T[], questions: readonly string[]): Look<readonly T[]> {
  const listen = () => {
    const all: T[] = []
    return { take: (_: number, json: string) => void all.push(...parsed(parse, json)), heard: () => all }
  }
  return { questions, listen }
}
