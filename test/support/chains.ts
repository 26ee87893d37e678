/**
 * The two chains of plugins that make a pod's NICs, as configured, and the default routes they lead to. How a test is written with
 * them and with ovn-nic.ts: the first one of test/netns/two-nics.netns.test.ts.
 */
import { CALICO, type CalicoPod, type Family, INTERNET, UNDERLAY } from './calico.ts'
import { configurations } from './examples.ts'
import type { OvnNic } from './ovn-nic.ts'
import { calicoResult, inVersion } from './results.ts'
import type { CniResult, CniVersion } from './runtime.ts'

export const BEHIND_CALICO = {
  4: ['10.199.0.0/16', '10.50.0.0/16'],
  6: ['fd00:10:199::/64', 'fd00:10:50::/64'],
} as const

/** The configuration of the chain that ends with Calico's NIC. */
export const calicoConfig = (nic: CalicoPod, more: object = {}) => ({
  routes: nic.families.flatMap((family) => BEHIND_CALICO[family].map((dst) => ({ dst }))),
  prevResult: calicoResult(nic),
  ...more,
})
/** The configuration of the chain that ends with kube-ovn's NIC. */
export const ovnConfig = (nic: OvnNic, more: object) => ({ name: 'kube-ovn', prevResult: nic.result, ...more })
/** The configuration of an example, of which this plugin has one place. */
export function exampleConfig(file: string, result: CniResult) {
  const [conf] = configurations(file)
  if (!conf) throw new Error(`no configuration in ${file}`)
  const cniVersion = conf.cniVersion as CniVersion
  return { ...conf, cniVersion, prevResult: inVersion(result, cniVersion) }
}
export const DEMOTE = { defaultRoute: 'demote' }
export const AUTO = { ovnGateway: 'auto' }

/** The default routes on the OVN NIC, with the metrics kube-ovn gives them. */
export const ovnDefaults = (
  families: readonly Family[],
  { proto, nic = 'net1' }: { proto?: number; nic?: string } = {},
) => {
  const by = proto === undefined ? '' : ` proto ${proto}`
  const all = { 4: `default via 10.0.1.1 dev ${nic}${by}`, 6: `default via fd00:10:0:1::1 dev ${nic}${by} metric 1024` }
  return families.map((family) => all[family])
}
export const calicoDefaults = (families: readonly Family[], nic = 'eth0') => {
  const all = { 4: `default via ${CALICO[4]} dev ${nic}`, 6: `default via ${CALICO[6]} dev ${nic} metric 1024` }
  return families.map((family) => all[family])
}
export const demotedDefaults = (families: readonly Family[], nic = 'net1') => {
  const all = {
    4: `default via 10.0.1.1 dev ${nic} proto 144 metric 4026531840`,
    6: `default via fd00:10:0:1::1 dev ${nic} proto 144 metric 4026532864`,
  }
  return families.map((family) => all[family])
}
export const everywhere = (families: readonly Family[]) =>
  families.flatMap((family) => [UNDERLAY[family], INTERNET[family]])
export const internet = (families: readonly Family[]) => families.map((family) => INTERNET[family])
