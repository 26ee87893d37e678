/** A pod of the model of the kernel, made as a runtime makes it: a plugin makes a NIC, and ADD of ours follows. */
import type { NetConf } from '../../src/cni/request.ts'
import { parseSet, type ReadSet } from '../../src/config/route-sets.ts'
import { DEFAULT_DST, KERNEL_PROTOCOL, type Route, type Snapshot } from '../../src/net/route.ts'
import { differences } from '../../src/plan/differences.ts'
import { planRepair, type RepairPlan } from '../../src/plan/repair.ts'
import type { Wish } from '../../src/plan/wish.ts'
import { decideAdd } from '../../src/verbs/add.ts'
import { inputsOf } from '../../src/verbs/inputs.ts'
import { carryOut, shown } from './kernel.ts'
import { DEFAULT4, DEFAULT6, LINK4, link, route } from './snapshots.ts'

export const NICS = ['eth0', 'net1', 'net2'] as const
export type Nic = (typeof NICS)[number]
const FAMILIES = [4, 6] as const

export const GATEWAYS = {
  eth0: { 4: '169.254.1.1', 6: 'fe80::ecee:eeff:feee:eeee' },
  net1: { 4: '10.0.1.1', 6: 'fd00:10:0:1::1' },
  net2: { 4: '10.0.2.1', 6: 'fd00:10:0:2::1' },
} as const
const ADDRESSES = {
  eth0: { 4: '10.199.3.153/32', 6: 'fd00:10:199::153/128' },
  net1: { 4: '10.0.1.10/24', 6: 'fd00:10:0:1::10/64' },
  net2: { 4: '10.0.2.10/24', 6: 'fd00:10:0:2::10/64' },
} as const
const NETWORKS = {
  net1: { 4: '10.0.1.0/24', 6: 'fd00:10:0:1::/64' },
  net2: { 4: '10.0.2.0/24', 6: 'fd00:10:0:2::/64' },
} as const

/** What the runtime is asked for: eth0 is Calico's, the others are Kube-OVN's. */
export interface Attachment {
  readonly nic: Nic
  /** Kube-OVN makes a default route. */
  readonly withDefault?: boolean
  /** The entries of ours in the chain. */
  readonly chain: readonly NetConf[]
  readonly cniVersion?: '1.0.0' | '1.1.0'
}

export type Sets = Readonly<Record<string, readonly string[]>>

const setReader =
  (sets: Sets): ReadSet =>
  (_, name) => {
    const parsed = parseSet((sets[name] ?? []).join('\n'))
    return 'problems' in parsed
      ? { problems: parsed.problems.map(({ line, says }) => `${name}:${line}: ${says}`) }
      : { file: name, prefixes: parsed.prefixes }
  }

export interface Pod {
  readonly now: Snapshot
  /** Each entry of ours with the Result of its attachment. */
  readonly asked: readonly { readonly conf: NetConf; readonly ifname: Nic }[]
}

/** @throws CniError if an ADD is refused; Error if Calico's is */
export function attachAll(attachments: readonly Attachment[], sets: Sets = {}): Pod {
  const empty: Pod = { now: { routes: [], links: [link('lo')] }, asked: [] }
  return attachments.reduce((pod, one) => attach(pod, one, sets), empty)
}

function attach({ now, asked }: Pod, attachment: Attachment, sets: Sets): Pod {
  const { nic, withDefault = false, chain, cniVersion = '1.0.0' } = attachment
  const addresses = FAMILIES.map((family) => ADDRESSES[nic][family].replace(/\/.*/, ''))
  let pod: Snapshot = { ...now, links: [...now.links, link(nic, ...addresses)] }
  for (const op of nic === 'eth0' ? CALICO : kubeOvn(nic, withDefault)) pod = carryOut(pod, [op])
  let result: object = resultOf(nic, withDefault, cniVersion)
  for (const conf of chain) {
    const { config, prev } = inputsOf({ ...conf, prevResult: result }, setReader(sets))
    const decide = () => decideAdd({ cniVersion, ifname: nic }, config, prev, shown(pod))
    for (let attempt = 0; decide().ops.length > 0; attempt++) {
      if (attempt === 5) throw new Error('ADD is never done')
      pod = carryOut(pod, decide().ops)
    }
    result = decide().result as object
  }
  const cached = JSON.parse(JSON.stringify(result))
  return {
    now: pod,
    asked: [...asked, ...chain.map((conf) => ({ conf: { ...conf, prevResult: cached }, ifname: nic }))],
  }
}

type Op = { readonly op: 'add' | 'replace'; readonly route: Route }

const CALICO: readonly Op[] = [LINK4, DEFAULT4, DEFAULT6].map((one) => ({ op: 'add', route: one }))

function kubeOvn(nic: 'net1' | 'net2', withDefault: boolean): Op[] {
  return FAMILIES.flatMap((family): Op[] => {
    const network = route(family, NETWORKS[nic][family], { dev: nic, protocol: KERNEL_PROTOCOL })
    const way = route(family, DEFAULT_DST[family], { gw: GATEWAYS[nic][family], dev: nic })
    return [{ op: 'add', route: network }, ...(withDefault ? [{ op: 'replace' as const, route: way }] : [])]
  })
}

function resultOf(nic: Nic, withDefault: boolean, cniVersion: string): object {
  const gateway = (family: 4 | 6) => (withDefault && nic !== 'eth0' ? { gateway: GATEWAYS[nic][family] } : {})
  const routes =
    nic === 'eth0'
      ? []
      : FAMILIES.flatMap((family) => [
          { dst: NETWORKS[nic][family] },
          ...(withDefault ? [{ dst: DEFAULT_DST[family], gw: GATEWAYS[nic][family] }] : []),
        ])
  return {
    cniVersion,
    interfaces: [{ name: nic, sandbox: '/pod' }],
    ips: FAMILIES.map((family) => ({ interface: 0, address: ADDRESSES[nic][family], ...gateway(family) })),
    routes,
  }
}

export function wishesOf({ asked }: Pick<Pod, 'asked'>, sets: Sets = {}): Wish[] {
  return asked.map(({ conf, ifname }) => ({ ...inputsOf(conf, setReader(sets)), ifname }))
}

/** What CHECK of each attachment says. */
export function checkAll(wishes: readonly Wish[], now: Snapshot): string[] {
  return wishes.flatMap(({ config, ifname, prev }) => differences(config, ifname, prev, shown(now)))
}

export interface Repaired {
  readonly now: Snapshot
  /** Of each look: the last has nothing to do, or is refused. */
  readonly plans: readonly [RepairPlan, ...RepairPlan[]]
  /** After each operation. */
  readonly between: readonly Snapshot[]
}

/** As changeRoutes does: until nothing is left to do. @throws Error if the kernel refuses an operation */
export function repairPod(wishes: readonly Wish[], before: Snapshot): Repaired {
  const between: Snapshot[] = []
  let now = before
  const first = planRepair(wishes, shown(now))
  const plans: [RepairPlan, ...RepairPlan[]] = [first]
  for (let plan = first; plan.refused === undefined && plan.ops.length > 0; ) {
    if (plans.length > 5) throw new Error(`repair is never done: ${plan.found.join('; ')}`)
    for (const op of plan.ops) {
      now = carryOut(now, [op])
      between.push(now)
    }
    plan = planRepair(wishes, shown(now))
    plans.push(plan)
  }
  return { now, plans, between }
}
