/**
 * Shows on this machine's own kernel what the plugin is for: a pod with two NICs, one as Calico makes it and one as Kube-OVN does;
 * where its packets go without the plugin; and where they go when both plugin lists end with it, run as a runtime would.
 * Everything shown is looked at while it is shown. Exit status 1 if anything is not as the text says. Leaves nothing behind.
 *
 *   make demo
 *
 * It prints the same on every machine and in every run, so that docs/demo.svg can be held against it.
 */

import { removeNamespaces, routes } from '../test/support/netns.ts'
import { attachCalico, attachOvn, detachCalico, detachOvn, type Site, site } from '../test/support/ovn-nic.ts'
import { calicoResult } from '../test/support/results.ts'
import { familiesHere } from './demo/needs.ts'
import { type Attached, attach, call, listsFor } from './demo/networks.ts'
import { clusterPod, ownRoutes, prove, vpcGateway } from './demo/packets.ts'
import { diff, entries, failed, header, list, proof, section } from './demo/report.ts'

try {
  const families = await familiesHere()
  header(families)
  await using place = await site({ families, kernel: families })
  await using _pod = await clusterPod(place)
  await using _gateway = await vpcGateway(place)
  await show(place)
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  removeNamespaces()
}
if (failed()) process.exitCode = 1

async function show(place: Site): Promise<void> {
  section('Before: the default route is Calico’s')
  await attachCalico(place)
  await attachOvn(place, { defaultRoute: false })
  const before = await ownRoutes(place.netns)
  list(before)
  await prove(place, 'before')

  section('Now each plugin list ends with x-calico-route')
  const lists = listsFor(place.families)
  entries('eth0', lists.eth0.plugins)
  entries('net1', lists.net1.plugins)

  // The pod again from its beginning: each NIC is made, and its routes are edited, before the next one is there.
  await detachOvn(place)
  await detachCalico(place)
  const eth0 = await attachCalico(place)
  const first = await attach({ nic: eth0, list: lists.eth0, prevResult: calicoResult(eth0) })
  const net1 = await attachOvn(place, { defaultRoute: false })
  const second = await attach({ nic: net1, list: lists.net1, prevResult: net1.result })

  section('After: the default route is the VPC’s')
  diff(before, await ownRoutes(place.netns))
  await prove(place, 'after')
  console.log()
  await proveLife(place, [second, first])
}

/** The verbs that a runtime calls after the first ADD; `attached`: the last NIC first, as a runtime takes them down. */
async function proveLife(place: Site, attached: readonly Attached[]): Promise<void> {
  const held = await routes(place.netns)
  for (const one of attached) await call('CHECK', one)
  for (const one of attached) await attach(one)
  const again = await routes(place.netns)
  for (const one of attached) await call('DEL', one)
  const left = (await routes(place.netns)).filter((route) => / proto 14[2-5]\b/.test(route))
  proof('CHECK finds no difference; ADD again changes nothing', held.join('\n') === again.join('\n'))
  proof('DEL leaves none of our routes', left.length === 0)
}
