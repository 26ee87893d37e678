import { isWithin } from '../address.ts'
import { readRoutes } from '../change.ts'
import { CniError } from '../errors.ts'
import { parseRoutes } from '../iproute2.ts'
import { LOOK, type Look, parseAnswer } from '../look.ts'
import { converse, type Netns, withNetns } from '../netns.ts'
import type { Route } from '../route.ts'
import { onThisSide } from './node-root.ts'
import { FIRST, OWN } from './pod-netns.ts'
import { type End, hostEndOf, type Nic, nicOf, noWayBack, parseEnds } from './way-back.ts'

/** A look at a pod that leaves behind what the node must have a way back to. */
export interface PodLook {
  readonly look: Look
  /** Once looked. @param result the Result that tells of the NIC */
  readonly nic: (result: unknown) => Nic | undefined
}

/** @param maker the type of the first plugin of the chain */
export function podLook(ifname: string, maker: string | undefined): PodLook {
  let ends: readonly End[] = []
  const snapshotOf: Look['snapshotOf'] = (answers) => {
    const seen = LOOK.snapshotOf(answers)
    ends = parseAnswer(parseEnds, answers[1])
    return seen
  }
  return { look: { ...LOOK, snapshotOf }, nic: (result) => nicOf(ends, { ifname, maker, result }) }
}

/**
 * What is wrong with the node's ways to NICs of pods, for each address of each by itself. A namespace is the node's for a
 * NIC whose host end is in it: our own, which is so on the node and in a container with hostNetwork, else that of the node's
 * first process, where it can be entered. Of a NIC whose host end nobody sees nothing is said.
 * @param root where the node's root directory is
 * @throws CniError 100, 103, 104 if the routes of our own namespace cannot be asked for
 */
export async function noWaysBack(nics: readonly Nic[], root: string): Promise<ReadonlyMap<Nic, readonly string[]>> {
  const said = new Map<Nic, readonly string[]>()
  if (nics.length === 0) return said
  const left = await withNetns(OWN, (own) => ask(own, nics, said))
  if (left.length > 0) {
    await withNetns(onThisSide(root, FIRST), async (first) => {
      if (!first.own) await ask(first, left, said)
    }).catch(unlessUnseen)
  }
  return said
}

function unlessUnseen(error: unknown): void {
  if (!(error instanceof CniError)) throw error
}

/** An answer is a line, and of a conversation with ip(8) no more than 1000 are read. */
const MOST_ASKED = 500

/** One ip(8) for hundreds of NICs. @returns those whose host end is not in the namespace */
async function ask(netns: Netns, nics: readonly Nic[], said: Map<Nic, readonly string[]>): Promise<Nic[]> {
  const left: Nic[] = []
  for (const some of inParts(nics, MOST_ASKED)) left.push(...(await askOfSome(netns, some, said)))
  return left
}

/** Of a NIC more addresses are never asked for than a part may have, see nicOf. */
function inParts(nics: readonly Nic[], most: number): Nic[][] {
  const parts: Nic[][] = [[]]
  let size = 0
  for (const nic of nics) {
    size += nic.addresses.length
    if (size > most) {
      parts.push([])
      size = nic.addresses.length
    }
    parts.at(-1)?.push(nic)
  }
  return parts
}

async function askOfSome(netns: Netns, nics: readonly Nic[], said: Map<Nic, readonly string[]>): Promise<Nic[]> {
  const hosts = new Map<Nic, End>()
  const { after } = await converse(
    netns,
    ['link show type veth'],
    ([answer]) => {
      const veths = parseAnswer(parseEnds, answer)
      for (const nic of nics) {
        const end = hostEndOf(nic, veths)
        if (end) hosts.set(nic, end)
      }
      return unique(routed(hosts).flatMap(([nic]) => nic.addresses)).map((address) => `route get ${address}`)
    },
    // It answers with an error where there is no way, and goes on.
    'go on',
  )
  const ways = new Map(after.flatMap((line) => parseAnswer(parseRoutes, line)).map((way) => [addressOf(way), way]))
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

const addressOf = ({ dst }: Route) => dst.replace(/\/.*$/, '')

/** It reads every route of the node, a million perhaps: for words only, and without them the answer is the same. */
async function routesAround(netns: Netns, addresses: readonly string[]): Promise<readonly Route[]> {
  const at: Look = {
    questions: addresses.map((address) => `route show table all match ${address}`),
    snapshotOf: (answers) => ({ links: [], routes: answers.flatMap((one) => parseAnswer(parseRoutes, one)) }),
  }
  return readRoutes(netns, ({ routes }) => routes, at).catch((error) => {
    if (!(error instanceof CniError)) throw error
    return []
  })
}
