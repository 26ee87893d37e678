/**
 * Pods that somebody has changed since ADD, the batch with which repair makes them right again, line by line, and what
 * libcni has of them.
 */
import { cacheEntry } from '../cli/result-cache.ts'
import { addOf } from './converge.ts'
import { CALICO, OVN, SCENARIOS, type Scenario } from './scenarios.ts'

export interface Drift {
  /** What is wrong. */
  readonly title: string
  readonly scenario: Scenario
  /** What somebody has done to the pod. */
  readonly spoil: readonly string[]
  /** What repair does. */
  readonly change: readonly string[]
  /** What undoes all lines of `change` but the last, for where it is tested. */
  readonly undo?: readonly string[]
  /** Keys that the configuration of `eth0` has besides. */
  readonly config?: object
  /** Further attachments by NIC: their configuration, and what the previous plugins reported. */
  readonly others: Readonly<Record<string, { readonly config: object; readonly prevResult: object }>>
}

const [REMOVE, , GATEWAY] = SCENARIOS

const DEFAULT = { 4: `0.0.0.0/0 ${CALICO[4]} proto 3`, 6: `::/0 ${CALICO[6]} proto 3 metric 1024` } as const
const OURS = {
  4: `10.50.0.0/16 ${CALICO[4]} proto 142`,
  6: `fd00:10:50::/64 ${CALICO[6]} proto 142 metric 1024`,
  stale4: `10.70.0.0/16 ${CALICO[4]} proto 142`,
  stale6: `fd00:10:70::/64 ${CALICO[6]} proto 142 metric 1024`,
  other: `10.60.0.0/16 ${CALICO[4]} table 100 proto 142 metric 7 mtu`,
} as const

/** The route set of each node, and what its file says. */
export const SET = { name: 'underlay', text: '# the underlay\n10.50.0.0/16\nfd00:10:50::/64\n' } as const

/** A pod with one attachment, whose routes are those of a set and one more. */
export const ONE: Drift = {
  title: 'one route is missing, one has another MTU, two are surplus, the default routes are back',
  scenario: REMOVE,
  spoil: [
    `route del ${OURS[4]}`,
    `route replace ${OURS.other} 1300`,
    `route add ${OURS.stale4}`,
    `route add ${OURS.stale6}`,
    `route add ${DEFAULT[4]}`,
    `route add ${DEFAULT[6]}`,
  ],
  change: [
    `route replace ${OURS.other} 1400`,
    `route add ${OURS[4]}`,
    `route del ${DEFAULT[4]}`,
    `route del ${OURS.stale4}`,
    `route del ${OURS.stale6}`,
    `route del ${DEFAULT[6]}`,
  ],
  config: { routes: [{ set: SET.name }, { dst: '10.60.0.0/16', table: 100, priority: 7, mtu: 1400 }] },
  undo: [
    `route append ${OURS.stale6}`,
    `route append ${OURS.stale4}`,
    `route append ${DEFAULT[4]}`,
    `route replace ${OURS.other} 1300`,
    `route del ${OURS[4]}`,
  ],
  others: {},
}

const RESTORED = { 4: `0.0.0.0/0 ${OVN[4]} proto 145`, 6: `::/0 ${OVN[6]} proto 145 metric 1024` } as const

/** A pod with two attachments, each with routes in both families. */
export const TWO: Drift = {
  title: 'the routes of two attachments are gone, and the default routes are those of the other NIC',
  scenario: GATEWAY,
  spoil: [
    `route del ${OURS[4]}`,
    `route del ${OURS[6]}`,
    `route replace ${DEFAULT[4]}`,
    `route del ${RESTORED[6]}`,
    `route add ${DEFAULT[6]}`,
  ],
  change: [
    `route add ${OURS[4]}`,
    `route add ${OURS[6]}`,
    `route add 10.60.0.0/16 ${OVN[4]} proto 142`,
    `route add fd00:10:60::/64 ${OVN[6]} proto 142 metric 1024`,
    `route replace 0.0.0.0/0 ${OVN[4]} proto 143`,
    `route replace ::/0 ${OVN[6]} proto 143 metric 1024`,
  ],
  // The kernel does not show any more what "auto" found.
  config: { ovnGateway: { ipv4: '10.0.1.1', ipv6: 'fd00:10:0:1::1', dev: 'net1' } },
  others: {
    net1: {
      config: { defaultRoute: 'keep', routes: [{ dst: '10.60.0.0/16' }, { dst: 'fd00:10:60::/64' }] },
      prevResult: {
        interfaces: [{ name: 'net1', mac: '00:00:00:2f:11:0a' }],
        ips: [
          { interface: 0, address: '10.0.1.11/24', gateway: '10.0.1.1' },
          { interface: 0, address: 'fd00:10:0:1::11/64', gateway: 'fd00:10:0:1::1' },
        ],
        routes: [
          { dst: '10.60.0.0/16', gw: '10.0.1.1' },
          { dst: 'fd00:10:60::/64', gw: 'fd00:10:0:1::1' },
        ],
        dns: {},
      },
    },
  },
}

export const startOf = ({ scenario, spoil }: Drift): readonly string[] => [...scenario.add, ...spoil]
export const endOf = (drift: Drift): readonly string[] => [...startOf(drift), ...drift.change]

/** The cache entries of the pod by file name, that of `eth0` first. @param setsDir where its route sets are */
export async function entriesOf(
  drift: Drift,
  container: string,
  netns: string,
  setsDir: string,
): Promise<Record<string, string>> {
  const { prevResult: _, ...config } = drift.scenario.config
  const { stdout } = await addOf(drift.scenario)
  const eth0 = { config: { ...config, ...drift.config, setsDir }, prevResult: JSON.parse(stdout) }
  const all = { eth0, ...drift.others }
  return Object.fromEntries(
    Object.entries(all).map(([ifName, { config, prevResult }]) => [
      `of-${ifName}-${container}-${ifName}`,
      entryOf(container, netns, prevResult, { ifName, config }),
    ]),
  )
}

export function entryOf(
  container: string,
  netns: string,
  result: unknown,
  { ifName, config }: { ifName: string; config: object },
): string {
  const plugins = [{ type: 'maker' }, { type: 'x-calico-route', ...config }]
  const list = { cniVersion: '1.0.0', name: `of-${ifName}`, plugins }
  return cacheEntry(container, netns, result, {
    config: Buffer.from(JSON.stringify(list)).toString('base64'),
    ifName,
    networkName: list.name,
  })
}
