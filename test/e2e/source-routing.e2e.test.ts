import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { INTERNET } from '../support/calico.ts'
import { ask, FILTER, service } from '../support/source-routing.ts'
import { cnitoolBuilt } from './cnitool.ts'
import { conflist, installPlugins, nic, type PluginConf, xCalicoRoute } from './conflist.ts'
import { local, TestNode } from './node.ts'

/** `sourceRouting` beside the reference plugin sbr, behind the same plugins, in one run. */

const ours = xCalicoRoute({ routes: [], sourceRouting: true })
const sbr: PluginConf = { type: 'sbr' }
// What the pod has its default by. Its NIC is the other one.
const { ptp, bridge, calico } = nic
const plain: PluginConf = { ...ptp, ipam: { ...ptp.ipam, routes: [] } }

const NETWORKS = {
  bridge: [bridge],
  ptp: [plain],
  'ptp-sbr': [plain, sbr],
  'ptp-ours': [plain, ours],
  calico: [calico, xCalicoRoute({ routes: [] })],
  'calico-sbr': [calico, sbr],
  'calico-ours': [calico, ours],
} satisfies Record<string, PluginConf[]>
type Network = keyof typeof NETWORKS

const ANSWERED = { 4: `pod sees ${INTERNET[4]}`, 6: `pod sees ${INTERNET[6]}` }
const LOST = { 4: 'no answer', 6: 'no answer' }

describe.skipIf(!cnitoolBuilt)('a client that no route of the pod is for, attached by cnitool', () => {
  let node: TestNode
  let pods = 0
  beforeAll(async () => {
    node = await TestNode.start((started) => installPlugins(started, local('../../.cache/e2e/bin')))
    await node.run(['nft', '-f', '-'], { input: FILTER })
    await node.run(['sh', '-ec', 'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter'])
    for (const [name, plugins] of Object.entries(NETWORKS))
      node.write(`/etc/cni/net.d/${name}.conflist`, conflist(name, '1.0.0', ...plugins))
  })
  afterAll(() => node.close())

  /** What a client hears of the addresses of the first network's NIC. The other NIC has the pod's default routes. */
  async function heardOf(network: Network, order: readonly Network[]) {
    const netns = await node.pod(`pod${++pods}`)
    const call = (verb: string, one: Network) =>
      node.run(['/opt/cni/bin/cnitool', verb, one, netns], {
        env: { CNI_PATH: '/opt/cni/bin', CNI_IFNAME: one === 'bridge' ? 'net1' : 'eth0' },
      })
    let addresses: string[] = []
    for (const one of order) {
      const { stdout } = await call('add', one)
      if (one === network)
        addresses = JSON.parse(stdout).ips.map(({ address }: { address: string }) => address.split('/')[0])
    }
    await using _ = await service(node.path(netns), ...addresses)
    const heard = await ask({ netns: node.path('/run/netns/underlay'), address: INTERNET }, ...addresses)
    for (const one of order.toReversed()) await call('del', one)
    const all = (four: boolean) =>
      new Set(Object.entries(heard).flatMap(([how, what]) => (how.includes('.') === four ? [what] : [])))
    return { 4: [...all(true)].join(), 6: [...all(false)].join() }
  }

  it.each([
    ['ptp', LOST],
    ['ptp-sbr', ANSWERED],
    ['ptp-ours', ANSWERED],
  ] as const)('behind ptp: %s', async (network, expected) => {
    expect(await heardOf(network, ['bridge', network])).toEqual(expected)
  })

  it.each([
    ['calico', LOST],
    ['calico-sbr', LOST],
    ['calico-ours', ANSWERED],
  ] as const)('behind Calico’s wiring: %s', async (network, expected) => {
    expect(await heardOf(network, [network, 'bridge'])).toEqual(expected)
  })
})
