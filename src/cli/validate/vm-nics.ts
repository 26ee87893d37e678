import { createHash } from 'node:crypto'
import { isObject } from '../../cni/request.ts'
import { listed } from '../../errors.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'

/** A NIC of a VM. */
export interface VmNic {
  /** Its name in the VM's pod. */
  readonly ifname: string
  readonly passt: boolean
  readonly bridge: boolean
  /** As its interface has it, in the form of macText. */
  readonly mac?: string
}

/** Returns a function that makes the NIC of a VM of the name of a network in its spec. */
export function vmNics(spec: Readonly<Record<string, unknown>>): (name: unknown, first: boolean) => VmNic {
  const devices = isObject(spec.domain) ? spec.domain.devices : undefined
  const interfaces: unknown = isObject(devices) ? devices.interfaces : undefined
  const all = Array.isArray(interfaces) ? interfaces.filter(isObject) : []
  const byName = new Map(all.map((one) => [one.name, one]))
  return (name, first) => {
    const one = byName.get(name) ?? {}
    return {
      ifname: first ? 'eth0' : hashed(String(name)),
      passt: isPasst(one),
      bridge: isObject(one.bridge),
      ...(typeof one.macAddress === 'string' ? { mac: macText(one.macAddress) } : {}),
    }
  }
}

/** A MAC address in one form. KubeVirt takes hyphens, too. */
export const macText = (mac: string) => mac.toLowerCase().replaceAll('-', ':')

const isPasst = ({ passt, passtBinding, binding }: Readonly<Record<string, unknown>>) =>
  isObject(passt) || isObject(passtBinding) || (isObject(binding) && binding.name === 'passt')

/** @see https://github.com/kubevirt/kubevirt/blob/main/pkg/network/namescheme/networknamescheme.go GenerateHashedInterfaceName */
const hashed = (name: string) => `pod${createHash('sha256').update(name).digest('hex').slice(0, 11)}`

const MAX_NAMES = 10

/** Reports what a network has configured that its NIC of a VM does not suit. @param path where the VM asks for the network */
export function checkVmNic(
  { nic, path }: { readonly nic: VmNic; readonly path: Path },
  network: { readonly name: string; readonly entries: readonly Entry[]; readonly removing: boolean },
  ifnames: ReadonlySet<string>,
  say: Say,
): void {
  const { name, entries, removing } = network
  for (const [key, dev] of entries.flatMap(({ conf }) => devsOf(conf))) {
    if (ifnames.has(dev)) continue
    const there = listed([...ifnames], MAX_NAMES).join(', ')
    say(
      'XCR606',
      path,
      `network ${name} names ${dev} in ${key}, but the NICs of this VM's pod are called ${there}; write one of these there`,
    )
  }
  checkBinding({ nic, path }, network, say)
  if (nic.passt && removing)
    say(
      'XCR607',
      path,
      `with passt the guest gets no IPv4 unless its NIC has a default route, which network ${name} removes; write "defaultRoute": "demote" there`,
    )
}

/** Reports a network that is made for the bridge binding, or should be, where the VM uses it otherwise. */
function checkBinding(
  { nic, path }: { readonly nic: VmNic; readonly path: Path },
  {
    name,
    entries,
    removing,
  }: { readonly name: string; readonly entries: readonly Entry[]; readonly removing: boolean },
  say: Say,
): void {
  const meant = entries.some(({ conf }) => conf.kubevirt === true)
  if (nic.bridge && removing && !meant)
    say(
      'XCR610',
      path,
      `the bridge binding hands the routes of network ${name} to the VM; write "kubevirt": true there, so that ADD refuses what it cannot hand over`,
    )
  if (!nic.bridge && meant)
    say(
      'XCR610',
      path,
      `"kubevirt": true in network ${name} is for the bridge binding, which this NIC does not have; remove it there`,
    )
}

/** The NICs that a configuration names, each with its key. */
function devsOf({ routes, ovnGateway }: Readonly<Record<string, unknown>>): [string, string][] {
  const written = [
    ...(Array.isArray(routes) ? routes.map((route, i) => [`routes[${i}].dev`, route] as const) : []),
    ['ovnGateway.dev', ovnGateway] as const,
  ]
  return written.flatMap(([key, one]) => (isObject(one) && typeof one.dev === 'string' ? [[key, one.dev]] : []))
}
