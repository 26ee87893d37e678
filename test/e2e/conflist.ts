/** The conflists of these tests: what makes the NIC, then x-calico-route, then what comes after. */
import { existsSync } from 'node:fs'
import { UNDERLAY } from '../support/calico.ts'
import { PLUGIN } from '../support/runtime.ts'
import { local, type TestNode } from './node.ts'

export interface PluginConf {
  type: string
  [key: string]: unknown
}

/** The routes every test asks for, by which SERVICE is reached; the next hop is learnt from the kernel. */
export const ROUTES = [{ dst: '198.51.100.0/24' }, { dst: '2001:db8:51::/64' }] as const
export const xCalicoRoute = (conf: object = {}): PluginConf => ({ type: 'x-calico-route', routes: ROUTES, ...conf })

const DEFAULTS = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
const hostLocal = (ranges: object[], routes: object[] = DEFAULTS) => ({
  type: 'host-local',
  ranges: ranges.map((range) => [range]),
  routes,
})

/** Configurations of the plugins that make a NIC: dual stack, with a default route in each family. */
export const nic = {
  ptp: {
    type: 'ptp',
    ipam: hostLocal([{ subnet: '10.198.0.0/24' }, { subnet: 'fd00:10:198::/64' }]),
  },
  bridge: {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipam: hostLocal([{ subnet: '10.197.0.0/24' }, { subnet: 'fd00:10:197::/64' }]),
  },
  // a NIC directly in the underlay, whose gateway is the underlay's
  macvlan: {
    type: 'macvlan',
    master: 'eth0',
    ipam: hostLocal([
      { subnet: '10.50.0.0/16', rangeStart: '10.50.200.1', gateway: UNDERLAY[4] },
      { subnet: 'fd00:10:50::/64', rangeStart: 'fd00:10:50::200:1', gateway: UNDERLAY[6] },
    ]),
  },
  calico: {
    type: 'test-calico',
    ipam: hostLocal([{ subnet: '10.199.3.0/24' }, { subnet: 'fd00:10:199::/112' }], []),
  },
} as const satisfies Record<string, PluginConf>

export const tuning: PluginConf = { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_announce': '2' } }
export const witness: PluginConf = { type: 'test-witness' }

export const conflist = (name: string, cniVersion: string, ...plugins: PluginConf[]): string =>
  JSON.stringify({ cniVersion, name, plugins }, null, 2)

/** Fills the node's /opt/cni/bin: reference plugins from a directory, the tests' own, and the product. */
export async function installPlugins(node: TestNode, reference: string): Promise<void> {
  for (const plugin of ['calico', 'default-route', 'together', 'witness']) {
    const script = `#!/bin/sh\nexec '${process.execPath}' '${local(`plugins/${plugin}.ts`)}'\n`
    node.write(`/opt/cni/bin/test-${plugin}`, script, 0o755)
  }
  if (!existsSync(PLUGIN)) throw new Error(`no ${PLUGIN}: run \`make build\` first`)
  await node.run(['sh', '-ec', `ln -s ${reference}/* /opt/cni/bin; ln -s ${PLUGIN} /opt/cni/bin/x-calico-route`])
}
