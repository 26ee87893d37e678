import { CALICO, POD, POD_MAC } from '../../test/support/calico.ts'
import { type Contender, PRODUCT, type Verb } from './contenders.ts'

/** What is called, in which pod, and how many times at once. */
export interface Scenario {
  readonly name: string
  readonly verb: Verb
  /** The pod before the call: as Calico leaves it, as ADD leaves it, or gone. */
  readonly pod: 'fresh' | 'done' | 'gone'
  readonly routes: number
  /** Routes of others in the pod. */
  readonly bystanders: number
  readonly calls: number
  /** The configuration must be refused. */
  readonly wrong: boolean
  readonly sourceRouting: boolean
  readonly rounds: number
  /** The files that are needed are not in the page cache. */
  readonly cold: boolean
}

export const ONE = {
  verb: 'ADD',
  pod: 'fresh',
  routes: 2,
  bystanders: 0,
  calls: 1,
  wrong: false,
  sourceRouting: false,
  cold: false,
} as const

export const ADD_2 = 'ADD, 2 routes'
export const ADD_1000 = 'ADD, 1,000 routes'
export const ADD_CROWD = 'ADD, 2 routes, 10,000 in the pod'
export const ADD_RULES = 'ADD, 2 routes, sourceRouting'
export const ADD_20 = '20 ADDs at once'
export const DEL_ALIVE = 'DEL, living pod'
export const DEL_GONE = 'DEL, netns gone'
export const VERSION = 'VERSION'
export const LIMITED = 'ADD, 2 routes, inside the limits'
export const COLD = 'ADD, 2 routes, cold page cache'

/** @param quick a third of the rounds, for about a minute in all */
export function scenarios(quick: boolean): Scenario[] {
  const rounds = quick ? 15 : 60
  const few = quick ? 5 : 20
  return [
    { ...ONE, name: VERSION, verb: 'VERSION', rounds },
    { ...ONE, name: ADD_2, rounds },
    { ...ONE, name: 'ADD, 100 routes', routes: 100, rounds: few },
    { ...ONE, name: ADD_1000, routes: 1000, rounds: few },
    { ...ONE, name: ADD_CROWD, bystanders: 10_000, rounds: few },
    { ...ONE, name: ADD_RULES, sourceRouting: true, rounds: few },
    { ...ONE, name: 'CHECK, 2 routes', verb: 'CHECK', pod: 'done', rounds: few },
    { ...ONE, name: DEL_ALIVE, verb: 'DEL', pod: 'done', rounds },
    { ...ONE, name: DEL_GONE, verb: 'DEL', pod: 'gone', rounds },
    { ...ONE, name: 'ADD, wrong configuration', wrong: true, rounds: few },
    { ...ONE, name: ADD_20, calls: 20, rounds: quick ? 3 : 12 },
    { ...ONE, name: '100 ADDs at once', calls: 100, rounds: quick ? 1 : 4 },
    { ...ONE, name: COLD, cold: true, rounds: quick ? 2 : 6 },
  ]
}

/** The destinations of the configured routes, all in 10.128.0.0/9, see pods.ts. */
export function destinations(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `10.${128 + (i >> 8)}.${i & 255}.0/24`)
}

/** The network configuration as libcni would send it, with the keys of `contender`. */
export function configuration(
  scenario: Pick<Scenario, 'routes' | 'wrong' | 'sourceRouting'>,
  { dialect }: Pick<Contender, 'dialect'>,
): string {
  const routes = destinations(scenario.routes)
  const own = {
    [PRODUCT]: { routes: routes.map((dst) => ({ dst })) },
    'route-override': { flushgateway: true, addroutes: routes.map((dst) => ({ dst, gw: CALICO[4] })) },
  }[dialect]
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'k8s-pod-network',
    type: dialect,
    ...own,
    ...(scenario.sourceRouting ? { sourceRouting: true } : {}),
    ...(scenario.wrong ? { defaultRoute: 'removed' } : {}),
    prevResult: {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'cali0' }, { name: 'eth0', mac: POD_MAC, sandbox: '/var/run/netns/pod' }],
      ips: [
        { interface: 1, address: `${POD[4]}/32` },
        { interface: 1, address: `${POD[6]}/128` },
      ],
      routes: [
        { dst: '0.0.0.0/0', gw: CALICO[4] },
        { dst: '::/0', gw: CALICO[6] },
      ],
      dns: {},
    },
  })
}
