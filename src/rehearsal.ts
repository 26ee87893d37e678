import { parseConfig } from './config.ts'
import { unmet } from './effects.ts'
import { batchLine, parseLinks, parseRoutes } from './iproute2.ts'
import { planAdd } from './plan.ts'
import { parseDocument, parseRequest } from './request.ts'
import { buildResult, parsePrevResult } from './result.ts'

/**
 * Takes an ADD through everything that decides, when the start-up snapshot is built: what zod and others prepare on
 * first use is then in the snapshot, and no call prepares it again.
 */
export function rehearse(): void {
  const conf = {
    cniVersion: '1.0.0',
    name: 'rehearsal',
    routes: [
      { dst: '10.0.0.0/8', priority: 1, mtu: 1500 },
      { dst: 'fd00::/8', scope: 'link' },
    ],
    prevResult: { ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128' }], routes: [{ dst: '0.0.0.0/0' }] },
  }
  const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_NETNS: '/n', CNI_IFNAME: 'eth0' }
  const request = parseRequest(env, parseDocument(new TextEncoder().encode(JSON.stringify(conf))))
  const config = parseConfig(request.conf)
  const snapshot = {
    routes: parseRoutes(
      '[{"dst":"default","gateway":"169.254.1.1","dev":"eth0","scope":"0","flags":[],"metrics":[{"mtu":1500}]}]',
    ),
    links: parseLinks(
      '[{"ifname":"eth0","flags":["UP"],"linkinfo":{"info_kind":"veth"},"addr_info":[{"local":"10.0.0.1"}]}]',
    ),
  }
  const { ops, routes } = planAdd(config, 'eth0', snapshot)
  JSON.stringify([
    buildResult('1.0.0', parsePrevResult(conf.prevResult), { removed: [4, 6], routes, gateways: [] }),
    ops.map(batchLine),
    unmet(ops, snapshot.routes),
  ])
}
