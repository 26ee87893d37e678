import { isObject } from '../../cni/request.ts'
import { listed } from '../../errors.ts'
import { needsFamily } from './calico-ipam.ts'
import type { Entry } from './documents.ts'
import type { Say } from './finding.ts'
import { OURS } from './ours.ts'
import { MAX_TYPES, type Plugin } from './plugins.ts'

/** Reports an order of plugins in which we have no NIC to work on, or in which others undo our work. */
export function checkOrder(types: readonly string[], say: Say): void {
  const [first, ...others] = types.flatMap((type, index) => (type === OURS ? index : []))
  if (first === undefined) return
  const before = types.slice(0, first)
  if (before.every((type) => CHAINED.includes(type))) {
    const where =
      first === 0 ? 'comes first' : `comes after ${listed(before, MAX_TYPES).join(', ')}, before any NIC is made`
    say(
      'XCR103',
      ['plugins', first],
      `${OURS} ${where}; put it after the plugin that makes the NIC (calico, kube-ovn, ...)`,
    )
  } else if (CHAINED.includes(types[0] ?? ''))
    say(
      'XCR110',
      ['plugins', 0],
      `${types[0]} comes first, but changes a NIC that another plugin has made; put it after ${types[before.findIndex((type) => !CHAINED.includes(type))]}`,
    )
  for (const index of others) {
    const message = `${OURS} is already plugins[${first}] and works on the same NIC; write all keys there`
    say('XCR106', ['plugins', index], message)
  }
  for (const [index, type] of types.entries()) {
    const movedBy = MOVERS.get(type)
    if (index > first && movedBy !== undefined)
      say('XCR107', ['plugins', index], `${type} ${movedBy} after ${OURS} has made them; put ${OURS} after it`)
  }
}

/** The reference plugins that change a NIC but do not make one. */
const CHAINED = ['bandwidth', 'firewall', 'portmap', 'route-override', 'sbr', 'tuning', 'vrf']

/**
 * Plugins that undo our work. tuning does not: since 0.8.2 it changes a MAC address without setting the NIC down.
 * @see https://github.com/containernetworking/plugins plugins/meta
 */
const MOVERS: ReadonlyMap<string, string> = new Map([
  ['sbr', 'moves the routes of the NIC to another table'],
  ['vrf', 'moves the NIC and its routes to another table'],
  ['route-override', 'changes the routes of the NIC'],
])

/**
 * Reports a sysctl of tuning that takes IPv6 away from the NIC whose IPv6 routes this plugin makes.
 * @see https://www.cni.dev/plugins/current/meta/tuning
 */
export function checkIpv6Off(plugins: readonly Plugin[], entries: readonly Entry[], say: Say): void {
  if (!entries.some((entry) => needsFamily(entry, 6))) return
  for (const { plugin, path } of plugins) {
    if (plugin.type !== 'tuning' || !isObject(plugin.sysctl)) continue
    for (const [key, value] of Object.entries(plugin.sysctl))
      if (/^net[./]ipv6[./]conf[./](?!default[./]).*[./]disable_ipv6$/.test(key) && String(value) === '1')
        say(
          'XCR111',
          [...path, 'sysctl', key],
          `tuning switches IPv6 off, and ${OURS} has IPv6 routes to make; remove this, or those routes`,
        )
  }
}
