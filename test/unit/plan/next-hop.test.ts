import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { batchLine } from '../../../src/net/iproute2.ts'
import type { Route, Snapshot } from '../../../src/net/route.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { batch } from '../../support/batch.ts'
import { refusal } from '../../support/refusal.ts'
import { calicoPod, DEFAULT6, LINK4, link, route } from '../../support/snapshots.ts'

const OURS = { dev: 'eth0', protocol: 142 }

describe('the next hop of a route that names none', () => {
  const only = (...routes: Route[]): Snapshot => ({ ...calicoPod(), routes })
  const conf = { routes: [{ dst: '10.50.0.0/16' }] }

  it('is that of the default with the lowest metric', () => {
    const pod = only(
      route(4, '0.0.0.0/0', { gw: '10.0.0.2', dev: 'eth0', priority: 9 }),
      route(4, '0.0.0.0/0', { gw: '10.0.0.1', dev: 'eth0', priority: 5 }),
    )
    expect(batch(conf, pod)[0]).toBe('route add 10.50.0.0/16 via 10.0.0.1 dev eth0 proto 142')
  })

  it('is none after a default without gateway: the route is on-link', () => {
    expect(batch(conf, only(route(4, '0.0.0.0/0', { dev: 'eth0' })))[0]).toBe(
      'route add 10.50.0.0/16 dev eth0 proto 142',
    )
  })

  it('keeps the onlink of the default', () => {
    expect(batch(conf, only(route(4, '0.0.0.0/0', { gw: '10.9.9.9', dev: 'eth0', onlink: true })))[0]).toBe(
      'route add 10.50.0.0/16 via 10.9.9.9 dev eth0 onlink proto 142',
    )
  })

  it('is that of the routes that the configuration made before, when the default is gone', () => {
    const grown = { routes: [{ dst: '10.60.0.0/16' }, { dst: '10.50.0.0/16' }] }
    expect(batch(grown, only(route(4, '10.60.0.0/16', { ...OURS, gw: '10.0.0.1' })))).toEqual([
      'route add 10.50.0.0/16 via 10.0.0.1 dev eth0 proto 142',
    ])
  })

  it('is not where another configuration sent its routes, unless that is link-local, as only the next hop itself is', () => {
    const theirs4 = route(4, '10.60.0.0/16', { ...OURS, gw: '10.7.7.1' })
    expect(batch(conf, only(LINK4, theirs4))).toEqual(['route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'])
    const conf6 = { routes: [{ dst: 'fd00:10:50::/48' }] }
    const theirs6 = (gw: string) => route(6, 'fd00:10:60::/48', { ...OURS, gw })
    expect(batch(conf6, only(theirs6('fd00::1'), theirs6('fe80::1')))).toEqual([
      'route add fd00:10:50::/48 via fe80::1 dev eth0 proto 142 metric 1024',
    ])
    for (const [configured, theirs] of [
      [conf, theirs4],
      [conf6, theirs6('fd00::1')],
    ] as const)
      expect(refusal(() => batch(configured, only(theirs))).code).toBe(7)
  })

  it('is not that of a route whose own entry names it', () => {
    const two = { routes: [{ dst: '10.60.0.0/16', gw: '10.0.0.1' }, { dst: '10.50.0.0/16' }] }
    expect(batch(two, only(LINK4, route(4, '10.60.0.0/16', { ...OURS, gw: '10.0.0.1' })))).toEqual([
      'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
  })

  it("is 169.254.1.1 where Calico's link route is all that is left", () => {
    expect(batch(conf, only(LINK4))).toEqual(['route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'])
  })

  it('is never that of the other family, another interface or another plugin', () => {
    const pod = only(
      DEFAULT6,
      route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1' }),
      route(4, '10.60.0.0/16', { gw: '10.0.0.1', dev: 'eth0' }),
    )
    expect(refusal(() => batch(conf, pod))).toEqual({
      code: 7,
      message:
        'routes[0]: no next hop to 10.50.0.0/16 is known on eth0, which has no IPv4 default route; add "gw" or "scope": "link"',
    })
  })
})

describe('of a NIC without an address of the family', () => {
  const pod = (...addresses: string[]): Snapshot => ({ routes: [], links: [link('eth0', ...addresses)] })
  const said = (dst: string, snapshot: Snapshot) => refusal(() => batch({ routes: [{ dst }] }, snapshot)).message

  it.each([
    [6, 'fd00:10:50::/48', ['10.199.3.153', 'fe80::d88f:31ff:fe5c:27e']],
    [4, '10.50.0.0/16', ['fd00:10:199::153']],
  ])('that is what is told: IPv%i', (family, dst, addresses) => {
    expect(said(dst, pod(...addresses))).toBe(
      `routes[0]: no next hop to ${dst} is known on eth0, which has no IPv${family} address; assign one by "ipam", or write "missingFamily": "skip"`,
    )
  })

  it('it is not told of one that has a default route in another table', () => {
    const snapshot = { ...pod('10.199.3.153'), routes: [{ ...DEFAULT6, table: 100 }] }
    expect(said('fd00:10:50::/48', snapshot)).toContain('whose IPv6 default route is in table 100')
  })
})

describe('what is learnt besides', () => {
  const at = { gw: '10.0.0.1', dev: 'eth0' }
  const only = (...routes: Route[]): Snapshot => ({ ...calicoPod(), routes })
  const conf = { routes: [{ dst: '10.50.0.0/16' }] }
  const learning = route(4, '0.0.0.0/0', { ...at, attributes: { mtu: 1400 }, onlink: true })

  it('is no reason to refuse what another plugin made just so, without it', () => {
    const theirs = route(4, '10.50.0.0/16', at)
    expect(batch({ ...conf, defaultRoute: 'keep' }, only(learning, theirs))).toEqual([])
    expect(refusal(() => batch({ routes: [{ dst: '10.50.0.0/16', mtu: 1300 }] }, only(learning, theirs))).code).toBe(7)
  })

  it('is no source address that the pod has not got any more', () => {
    const pod = only(route(4, '0.0.0.0/0', { ...at, src: '10.199.3.154' }))
    expect(batch(conf, pod)[0]).toBe('route add 10.50.0.0/16 via 10.0.0.1 dev eth0 proto 142')
  })

  it('is of the same table', () => {
    const both = { routes: [{ dst: '10.50.0.0/16', table: 1001 }, { dst: '10.60.0.0/16' }] }
    const elsewhere = route(4, '0.0.0.0/0', { gw: '10.0.0.254', dev: 'eth0', table: 1001 })
    const made = route(4, '10.50.0.0/16', { ...OURS, gw: '10.0.0.254', table: 1001 })
    expect(refusal(() => batch(both, only(elsewhere, made))).message).toMatch(/is in table 1001/)
  })
})

describe('CHECK goes by the next hops that ADD reported', () => {
  it('before those it finds', () => {
    const found = route(4, '10.50.0.0/16', { ...OURS, gw: '10.9.9.9' })
    const { ops } = planAdd(
      parseConfig({ routes: [{ dst: '10.50.0.0/16' }] }),
      'eth0',
      { ...calicoPod(), routes: [LINK4, found] },
      { hops: () => ({ gw: '169.254.1.1' }) },
    )
    expect(ops.map(batchLine)).toEqual(['route replace 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142'])
  })

  it('with what another route of the NIC shows was learnt, where the route itself is missing', () => {
    const routes = [{ dst: '10.50.0.0/16' }, { dst: '10.60.0.0/16' }]
    const left = route(4, '10.60.0.0/16', { ...OURS, gw: '169.254.1.1', attributes: { mtu: 1400 } })
    const hops = () => ({ gw: '169.254.1.1' })
    const { ops } = planAdd(parseConfig({ routes }), 'eth0', { ...calicoPod(), routes: [LINK4, left] }, { hops })
    expect(ops.map(batchLine)).toEqual(['route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 mtu 1400'])
  })
})
