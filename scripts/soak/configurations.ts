import { CALICO, type Family, POD } from '../../test/support/calico.ts'
import { VPC_GATEWAY } from '../../test/support/ovn.ts'

/** Routes of the main table, as `ip route` prints them. */
interface Change {
  readonly gone: readonly string[]
  readonly come: readonly string[]
}

export interface Configuration {
  readonly name: string
  readonly families: readonly Family[]
  /** Whether the pod has a NIC of Kube-OVN beside Calico's. */
  readonly second: boolean
  /** The plugin's own keys. */
  readonly keys: object
  /** How the routes differ from before, after ADD and after DEL. */
  readonly added: Change
  readonly deleted: Change
}

const DEFAULT4 = `default via ${CALICO[4]} dev eth0`
const DEFAULT6 = `default via ${CALICO[6]} dev eth0 metric 1024`
const DEFAULTS = [DEFAULT4, DEFAULT6]
const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const ROUTED = [
  `10.50.0.0/16 via ${CALICO[4]} dev eth0 proto 142`,
  `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
]
const NOTHING: readonly string[] = []

/** One for each thing the plugin can do to a default route, with the pods that it is for. */
export const CONFIGURATIONS: readonly Configuration[] = [
  {
    name: 'remove',
    families: [4, 6],
    second: false,
    keys: { routes: [...ROUTES, { dst: '10.96.0.0/12', priority: 50, mtu: 1400, src: POD[4] }] },
    added: {
      gone: DEFAULTS,
      come: [...ROUTED, `10.96.0.0/12 via ${CALICO[4]} dev eth0 proto 142 src ${POD[4]} metric 50 mtu 1400`],
    },
    deleted: { gone: DEFAULTS, come: NOTHING },
  },
  {
    name: 'demote',
    families: [4, 6],
    second: false,
    keys: { defaultRoute: 'demote', routes: ROUTES },
    added: {
      gone: DEFAULTS,
      come: [
        ...ROUTED,
        `default via ${CALICO[4]} dev eth0 proto 144 metric 4026531840`,
        `default via ${CALICO[6]} dev eth0 proto 144 metric 4026532864`,
      ],
    },
    // The demoted default routes are restored.
    deleted: { gone: NOTHING, come: NOTHING },
  },
  {
    name: 'ovnGateway',
    families: [4, 6],
    second: true,
    keys: { routes: ROUTES, ovnGateway: { ipv4: VPC_GATEWAY[4], ipv6: VPC_GATEWAY[6], dev: 'net1' } },
    added: {
      gone: DEFAULTS,
      come: [
        ...ROUTED,
        `default via ${VPC_GATEWAY[4]} dev net1 proto 143`,
        `default via ${VPC_GATEWAY[6]} dev net1 proto 143 metric 1024`,
      ],
    },
    deleted: { gone: DEFAULTS, come: NOTHING },
  },
  {
    name: 'IPv6 alone',
    families: [6],
    second: false,
    keys: { routes: [{ dst: 'fd00:10:50::/64' }, { dst: 'fd00:10:60::/64', scope: 'link' }] },
    added: {
      gone: [DEFAULT6],
      come: [
        `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
        'fd00:10:60::/64 dev eth0 proto 142 metric 1024',
      ],
    },
    deleted: { gone: [DEFAULT6], come: NOTHING },
  },
]

/** A routing table after a change. */
export function changed(routes: readonly string[], { gone, come }: Change): string[] {
  return [...routes.filter((route) => !gone.includes(route)), ...come].sort()
}
