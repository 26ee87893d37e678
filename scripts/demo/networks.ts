/** The two networks of the pod as an operator writes them, and a runtime that runs them. */
import type { Family, Pod } from '../../test/support/calico.ts'
import { BEHIND_CALICO } from '../../test/support/chains.ts'
import { ROUTER } from '../../test/support/ovn-nic.ts'
import { type CniResult, environment, run, type Verb } from '../../test/support/runtime.ts'

interface PluginList {
  readonly name: string
  readonly plugins: readonly [{ readonly type: string }, { readonly type: string; readonly [key: string]: unknown }]
}

/** A NIC that the first plugin of a list has made. */
export interface Attached {
  readonly nic: Pod
  readonly list: PluginList
  readonly prevResult: CniResult
}

export function listsFor(families: readonly Family[]): { readonly eth0: PluginList; readonly net1: PluginList } {
  const routes = families.flatMap((family) => BEHIND_CALICO[family].map((dst) => ({ dst })))
  const ovnGateway = Object.fromEntries(families.map((family) => [`ipv${family}`, ROUTER[family]]))
  return {
    eth0: { name: 'k8s-pod-network', plugins: [{ type: 'calico' }, { type: 'x-calico-route', routes }] },
    net1: { name: 'vpc-net', plugins: [{ type: 'kube-ovn' }, { type: 'x-calico-route', ovnGateway }] },
  }
}

/** ADD of our entry of the list. @returns the NIC with the Result, for the calls after it */
export async function attach({ nic, list, prevResult }: Attached): Promise<Attached> {
  return { nic, list, prevResult: JSON.parse(await call('ADD', { nic, list, prevResult })) }
}

/** @throws Error if the plugin does not succeed, or has anything to say on stderr */
export async function call(verb: Verb, { nic, list, prevResult }: Attached): Promise<string> {
  const [, ours] = list.plugins
  const { stdout, stderr, exitCode } = await run(environment(verb, nic), { ...ours, name: list.name, prevResult })
  if (exitCode !== 0 || stderr !== '') {
    throw new Error(`${verb} of ${nic.ifname} failed with exit status ${exitCode}: ${stdout}${stderr}`)
  }
  return stdout
}
