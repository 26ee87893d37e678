import { expect, test } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { parseRoutes } from '../../../src/net/iproute2.ts'
import type { Rule } from '../../../src/net/rule.ts'
import { mayHaveRules6, planRules, removeRules } from '../../../src/plan/source-rules.ts'

const routesTo = (...dsts: string[]) =>
  parseRoutes(
    JSON.stringify(dsts.map((dst) => ({ type: '1', dst, dev: 'eth0', protocol: '2', scope: '0', table: '254' }))),
  )

test.each([
  ['a pod without an IPv6 address', ['10.50.0.0/16', 'fe80::/64', 'ff00::/8'], false],
  ['a pod with a connected IPv6 route', ['fe80::/64', 'fd00:10:199::/64'], true],
  ['an IPv6 default route alone', ['::/0'], true],
])('IPv6 rules of %s', (_, dsts, expected) => {
  expect(mayHaveRules6({ routes: routesTo(...dsts) })).toBe(expected)
})

test('IPv6 rules matter where not all routes are known', () => {
  expect(mayHaveRules6({ routes: [], leftOut: 3 })).toBe(true)
})

const rule = (table: number): Rule => ({
  family: 4,
  priority: 14200,
  from: '10.199.3.153/32',
  table,
  protocol: 142,
})
const inTable = (dev: string) =>
  parseRoutes(JSON.stringify([{ type: '1', dst: 'default', gateway: '10.0.0.1', dev, protocol: '142', table: '100' }]))
const DEL = { key: 'DEL', path: 'DEL' } as const

test.each([
  ['its own', 'net1', 1],
  ['another NIC’s, for which its ADD was refused', 'eth0', 0],
])('DEL of a NIC and the rules to a table that is %s', (_, dev, removed) => {
  expect(removeRules('net1', [100], { routes: inTable(dev), rules: [rule(100)], links: [] }, DEL)).toHaveLength(removed)
})

test('a NIC with a longer name than KubeVirt gives has no guest', () => {
  const config = parseConfig({ sourceRouting: true, kubevirt: true })
  const iifs = (ifname: string) =>
    planRules(config, { ifname, up: true, addresses: ['10.0.1.11'] }, { routes: [], links: [] }).map(
      ({ rule: { iif } }) => iif,
    )
  expect(iifs('eth0')).toEqual([undefined, 'k6t-eth0'])
  expect(iifs('underlay-net01')).toEqual([undefined])
})
