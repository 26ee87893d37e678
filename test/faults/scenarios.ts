/**
 * Five pods, the configuration that is carried out in each, and the batch it takes, line by line. Every state that a
 * fault can leave a pod in is then a number of these lines carried out by ip(8) itself, without the plugin.
 */
import type { Config } from '../support/runtime.ts'

export interface Scenario {
  readonly name: string
  /** What becomes of the pod. */
  readonly title: string
  readonly config: Config & object
  /** What is in the pod besides its two NICs. */
  readonly pod: string
  /** The changes of ADD, and those of the DEL that follows. */
  readonly add: readonly string[]
  readonly del: readonly string[]
  /** What undoes all lines of `add` but the last. */
  readonly undo: readonly string[]
  /** What is asked after the changes, where it is not all routes. */
  readonly look?: readonly string[]
  /** It goes by rules as well. */
  readonly rules?: boolean
  /** What DEL leaves of an ADD that was killed after so many lines, as changes of the pod as it was before ADD. */
  readonly afterDel: (carriedOut: number) => readonly string[]
}

export const CALICO = { 4: 'via 169.254.1.1 dev eth0', 6: 'via fe80::ecee:eeff:feee:eeee dev eth0' } as const
export const OVN = { 4: 'via 10.0.1.1 dev net1', 6: 'via fd00:10:0:1::1 dev net1' } as const

/** Metrics behind all others: 0xf0000000 and the metric that the default had. */
const DEMOTED = { 4: 'proto 144 metric 4026531840', 6: 'proto 144 metric 4026532864' } as const

const RESTORED = { 4: 'proto 145', 6: 'proto 145 metric 1024' } as const

const prevResult = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'cali1234567890a' }, { name: 'eth0', mac: 'da:8f:31:5c:02:7e' }],
  ips: [
    { interface: 1, address: '10.199.3.153/32' },
    { interface: 1, address: 'fd00:10:199::153/128' },
  ],
  dns: {},
}

/** Of `script`, the lines whose turn had come when so many lines of the batch were carried out. */
const due = (script: readonly [line: number, change: string][], carriedOut: number): string[] =>
  script.flatMap(([line, change]) => (carriedOut >= line ? change : []))

const DEFAULT = { 4: `0.0.0.0/0 ${CALICO[4]} proto 3`, 6: `::/0 ${CALICO[6]} proto 3 metric 1024` } as const
const OURS = {
  4: `10.50.0.0/16 ${CALICO[4]} proto 142`,
  6: `fd00:10:50::/64 ${CALICO[6]} proto 142 metric 1024`,
  other: `10.60.0.0/16 ${CALICO[4]} table 100 proto 142 metric 7 mtu 1400`,
} as const

const REMOVE: Scenario = {
  name: 'remove',
  title: 'the default routes are removed, three routes are added',
  config: {
    routes: [
      { dst: '10.50.0.0/16' },
      { dst: 'fd00:10:50::/64' },
      { dst: '10.60.0.0/16', table: 100, priority: 7, mtu: 1400 },
    ],
    prevResult,
  },
  pod: '',
  add: [
    `route add ${OURS[4]}`,
    `route add ${OURS[6]}`,
    `route add ${OURS.other}`,
    `route del ${DEFAULT[4]}`,
    `route del ${DEFAULT[6]}`,
  ],
  undo: [`route append ${DEFAULT[4]}`, `route del ${OURS.other}`, `route del ${OURS[4]}`, `route del ${OURS[6]}`],
  del: [`route del ${OURS.other}`, `route del ${OURS[4]}`, `route del ${OURS[6]}`],
  // A default that ADD removed is not DEL's to bring back: the NIC goes next.
  afterDel: (carriedOut) =>
    due(
      [
        [4, `route del ${DEFAULT[4]}`],
        [5, `route del ${DEFAULT[6]}`],
      ],
      carriedOut,
    ),
}

const DEMOTE: Scenario = {
  name: 'demote',
  title: 'the default routes are demoted',
  config: { defaultRoute: 'demote', prevResult },
  pod: '',
  add: [
    `route add 0.0.0.0/0 ${CALICO[4]} ${DEMOTED[4]}`,
    `route del ${DEFAULT[4]}`,
    `route add ::/0 ${CALICO[6]} ${DEMOTED[6]}`,
    `route del ${DEFAULT[6]}`,
  ],
  undo: [
    `route append ${DEFAULT[4]}`,
    `route del 0.0.0.0/0 ${CALICO[4]} ${DEMOTED[4]}`,
    `route del ::/0 ${CALICO[6]} ${DEMOTED[6]}`,
  ],
  del: [
    `route add ${DEFAULT[4]}`,
    `route del 0.0.0.0/0 ${CALICO[4]} ${DEMOTED[4]}`,
    `route add ${DEFAULT[6]}`,
    `route del ::/0 ${CALICO[6]} ${DEMOTED[6]}`,
  ],
  afterDel: () => [],
}

const GATEWAY: Scenario = {
  name: 'gateway',
  title: 'the demoted default routes of the other NIC replace those of this one, two routes are added',
  config: { ovnGateway: 'auto', routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }], prevResult },
  pod: `route add 0.0.0.0/0 ${OVN[4]} ${DEMOTED[4]}\nroute add ::/0 ${OVN[6]} ${DEMOTED[6]}`,
  add: [
    `route add ${OURS[4]}`,
    `route add ${OURS[6]}`,
    `route replace 0.0.0.0/0 ${OVN[4]} ${RESTORED[4]}`,
    `route del 0.0.0.0/0 ${OVN[4]} ${DEMOTED[4]}`,
    `route replace ::/0 ${OVN[6]} ${RESTORED[6]}`,
    `route del ::/0 ${OVN[6]} ${DEMOTED[6]}`,
  ],
  undo: [
    `route replace ${DEFAULT[6]}`,
    `route append 0.0.0.0/0 ${OVN[4]} ${DEMOTED[4]}`,
    `route replace ${DEFAULT[4]}`,
    `route del ${OURS[4]}`,
    `route del ${OURS[6]}`,
  ],
  del: [
    `route add 0.0.0.0/0 ${OVN[4]} ${DEMOTED[4]}`,
    `route del 0.0.0.0/0 ${OVN[4]} ${RESTORED[4]}`,
    `route add ::/0 ${OVN[6]} ${DEMOTED[6]}`,
    `route del ::/0 ${OVN[6]} ${RESTORED[6]}`,
    `route del ${OURS[4]}`,
    `route del ${OURS[6]}`,
  ],
  afterDel: (carriedOut) =>
    due(
      [
        [3, `route del ${DEFAULT[4]}`],
        [5, `route del ${DEFAULT[6]}`],
      ],
      carriedOut,
    ),
}

const TWIN = `${DEFAULT[4]} mtu 1300`
const OTHERS = Array.from({ length: 1100 }, (_, i) => `route add 172.16.${i >> 8}.${i & 255} ${OVN[4]}`)

/** More routes than are read in one piece, or asked for again. Two default routes share a place; the first is in effect. */
export const CROWDED: Scenario = {
  name: 'crowded',
  title: 'among 1,100 routes of others three default routes are removed, two in one place, and two routes are added',
  config: { routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }], prevResult },
  pod: [`route append ${TWIN}`, ...OTHERS].join('\n'),
  add: [
    `route add ${OURS[4]}`,
    `route add ${OURS[6]}`,
    `route del ${DEFAULT[4]}`,
    `route del ${TWIN}`,
    `route del ${DEFAULT[6]}`,
  ],
  undo: [`route append ${DEFAULT[4]}`, `route append ${TWIN}`, `route del ${OURS[4]}`, `route del ${OURS[6]}`],
  del: [`route del ${OURS[4]}`, `route del ${OURS[6]}`],
  look: ['0.0.0.0/0', '::/0', '10.50.0.0/16', 'fd00:10:50::/64'].map((dst) => `route show table all exact ${dst}`),
  afterDel: (carriedOut) =>
    due(
      [
        [3, `route del ${DEFAULT[4]}`],
        [4, `route del ${TWIN}`],
        [5, `route del ${DEFAULT[6]}`],
      ],
      carriedOut,
    ),
}

const N = 1459691812
const IN_TABLE = {
  4: `0.0.0.0/0 ${CALICO[4]} table ${N} proto 142`,
  6: `::/0 ${CALICO[6]} table ${N} proto 142 metric 1024`,
} as const
const ruleFrom = (address: string) => `from ${address} table ${N} priority 14200 protocol 142`
const RULES = {
  4: ruleFrom('10.199.3.153/32'),
  6: ruleFrom('fd00:10:199::153/128'),
  other: ruleFrom('fd00:10:199::154/128'),
} as const

export const SOURCE: Scenario = {
  name: 'source',
  title: 'what is sent from three addresses leaves by the NIC, one route is added',
  config: { sourceRouting: true, routes: [{ dst: 'fd00:10:50::/64' }], prevResult },
  pod: 'addr add fd00:10:199::154/128 dev eth0 nodad',
  rules: true,
  add: [
    `route add ${OURS[6]}`,
    `route add ${IN_TABLE[4]}`,
    `route add ${IN_TABLE[6]}`,
    `rule add ${RULES[4]}`,
    `route del ${DEFAULT[4]}`,
    `route del ${DEFAULT[6]}`,
    `-6 rule add ${RULES.other}`,
    `-6 rule add ${RULES[6]}`,
  ],
  undo: [
    `route append ${DEFAULT[6]}`,
    `route append ${DEFAULT[4]}`,
    `route del ${IN_TABLE[4]}`,
    `route del ${IN_TABLE[6]}`,
    `route del ${OURS[6]}`,
    `rule del ${RULES[4]}`,
    `-6 rule del ${RULES.other}`,
  ],
  del: [
    `rule del ${RULES[4]}`,
    `route del ${IN_TABLE[4]}`,
    `route del ${IN_TABLE[6]}`,
    `route del ${OURS[6]}`,
    `-6 rule del ${RULES.other}`,
    `-6 rule del ${RULES[6]}`,
  ],
  afterDel: (carriedOut) =>
    due(
      [
        [5, `route del ${DEFAULT[4]}`],
        [6, `route del ${DEFAULT[6]}`],
      ],
      carriedOut,
    ),
}

/** Ordinary pods. */
export const SCENARIOS = [REMOVE, DEMOTE, GATEWAY, SOURCE] as const
