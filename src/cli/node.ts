import { CniError } from '../errors.ts'
import { readRoutes } from '../kernel/change.ts'
import { converse } from '../kernel/ip.ts'
import { type Look, lookUpInto, parsed } from '../kernel/look.ts'
import { type Netns, withNetns } from '../kernel/netns.ts'
import { isWithin } from '../net/address.ts'
import { parseRoutes, SHOW_LINKS } from '../net/iproute2.ts'
import type { Route, Snapshot } from '../net/route.ts'
import { onThisSide } from './node-root.ts'
import { FIRST, OWN } from './pod-netns.ts'
import { type End, hostEndOf, type Nic, nicOf, noWayBack, parseEnds } from './way-back.ts'

/** A look at a pod that leaves behind what the node must have a way back to. */
export interface PodLook {
  readonly overhear: (look: Look<Snapshot>) => Look<Snapshot>
  /** Once looked. @param result the Result that tells of the NIC */
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
 * What is wrong with the node's ways to NICs of pods, for each address of each by itself. A namespace is the node's for
 * a NIC whose host end is in it: our own, which is so on the node and in a container with hostNetwork, else that of the
 * node's first process, where it can be entered. Of a NIC whose host end nobody sees nothing is said.
 * @param root where the node's root directory is
 * @throws CniError 100, 103, 104 if the routes of our own namespace cannot be asked for
 */
export async function noWaysBack(nics: readonly Nic[], root: string): Promise<ReadonlyMap<Nic, readonly string[]>> {
  const said = new Map<Nic, readonly string[]>()
  if (nics.length === 0) return said
  const left = await withNetns(OWN, LIMIT_MS, (own) => ask(own, nics, said))
  if (left.length > 0) {
    await withNetns(onThisSide(root, FIRST), LIMIT_MS, async (first) => {
      if (!first.own) await ask(first, left, said)
    }).catch(unlessUnseen)
  }
  return said
}

/** The node's own routes may be many. */
const LIMIT_MS = 30_000

function unlessUnseen(error: unknown): void {
  if (!(error instanceof CniError)) throw error
}

/** One ip(8) for all NICs. @returns those whose host end is not in the namespace */
async function ask(netns: Netns, nics: readonly Nic[], said: Map<Nic, readonly string[]>): Promise<Nic[]> {
  const hosts = new Map<Nic, End>()
  const ways = new Map<string, Route>()
  // It answers with an error where there is no way, and goes on.
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
      return noWayBack(address, ifname, told) ?? []
    })
    said.set(nic, problems)
  }
  return nics.filter((nic) => !hosts.has(nic))
}

const unique = (addresses: readonly string[]) => [...new Set(addresses)]

/** What is a port of a bridge or OVS, or in a VRF, is not found by the node's own routes. */
const routed = (hosts: ReadonlyMap<Nic, End>) => [...hosts].filter(([, { master }]) => master === undefined)

/** It reads every route of the node, a million perhaps: for words only, and without them the answer is the same. */
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

/** A look for what stands in the answers. */
function listOf<T>(parse: (json: string) => T[], questions: readonly string[]): Look<readonly T[]> {
  const listen = () => {
    const all: T[] = []
    return { take: (_: number, json: string) => void all.push(...parsed(parse, json)), heard: () => all }
  }
  return { questions, listen }
}
