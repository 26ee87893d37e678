import { expect, test } from 'vitest'
import { parseRoutes } from '../../../src/net/iproute2.ts'
import { mayHaveRules6 } from '../../../src/plan/source-rules.ts'

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
