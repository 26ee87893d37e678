import { afterEach, describe, expect, test } from 'vitest'
import { POD, UNDERLAY } from '../support/calico.ts'
import { AUTO, calicoConfig, ovnConfig } from '../support/chains.ts'
import { changes, configure, dump, inNetns, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, detachCalico, OVN_POD, type Site, site } from '../support/ovn-nic.ts'
import { environment, run } from '../support/runtime.ts'
import { attachMacvlan, LAN, LAN_STRANGER, routeGet, rules, STRANGER } from '../support/source-routing.ts'
import { add, check, del, fails, failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

const SOURCE = { sourceRouting: true }
/** The tables that the names of the NICs decide. */
const TABLE = { eth0: 1459691812 }
const RULES = [
  `14200: from ${POD[4]} lookup ${TABLE.eth0} proto 142`,
  `14200: from ${POD[6]} lookup ${TABLE.eth0} proto 142`,
]
const DEFAULTS = [
  'default via 169.254.1.1 dev eth0 proto 142',
  'default via fe80::ecee:eeff:feee:eeee dev eth0 proto 142',
]

/** Calico's NIC with sourceRouting. */
async function withCalico(pod: Site, keys: object = SOURCE) {
  const eth0 = await attachCalico(pod)
  const config = calicoConfig(eth0, keys)
  const result = await add(eth0, config)
  return { eth0, config, result, checked: { ...config, prevResult: result } }
}

const tableOf = async (pod: Site, table: number) =>
  (await routes(pod.netns, `${table}`)).map((route) => route.replace(/ metric 1024$/, ''))

describe('what sourceRouting makes', () => {
  test('is a rule for each address, and a table with a default route in each family', async () => {
    await using pod = await site()
    await withCalico(pod)
    expect(await rules(pod.netns)).toEqual(RULES)
    expect(await tableOf(pod, TABLE.eth0)).toEqual(DEFAULTS)
  })

  test('has the configured table and priority', async () => {
    await using pod = await site()
    const { eth0, checked } = await withCalico(pod, { sourceRouting: { table: 100, priority: 77 } })
    const expected = [`77: from ${POD[4]} lookup 100 proto 142`, `77: from ${POD[6]} lookup 100 proto 142`]
    expect(await rules(pod.netns)).toEqual(expected)
    expect(await tableOf(pod, 100)).toEqual(DEFAULTS)
    await del(eth0, checked)
    expect([await rules(pod.netns), await tableOf(pod, 100)]).toEqual([[], []])
  })

  test('stays as it is, and is printed alike, when ADD is repeated', async () => {
    await using pod = await site()
    const { eth0, config, result } = await withCalico(pod)
    const { before, after } = await changes(pod.netns, async () => expect(await add(eth0, config)).toEqual(result))
    expect(after).toBe(before)
  })

  test('changes neither where other packets go nor which source they get', async () => {
    await using pod = await site()
    const { eth0, config } = await withCalico(pod, {})
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, AUTO))
    await configure(pod.netns, 'addr add 192.0.2.200/32 dev lo\naddr add 2001:db8:99::200/128 dev lo nodad')
    const everybody = [UNDERLAY, STRANGER, LAN_STRANGER, { 4: '10.0.1.99', 6: 'fd00:10:0:1::99' }].flatMap(
      ({ 4: four, 6: six }) => [four, six],
    )
    const others = { 4: '192.0.2.200', 6: '2001:db8:99::200' }
    const ways = async () => [
      await routeGet(pod.netns, everybody),
      await routeGet(pod.netns, everybody, OVN_POD),
      await routeGet(pod.netns, everybody, others),
    ]
    const [before, itsOwn] = [await ways(), await routeGet(pod.netns, everybody, POD)]
    expect(before[0]?.join('\n')).toContain(`src ${OVN_POD[4]}`)
    await add(eth0, { ...config, ...SOURCE })
    expect(await ways()).toEqual(before)
    const now = (await routeGet(pod.netns, everybody, POD)).filter(Boolean)
    expect(now).not.toEqual(itsOwn.filter(Boolean))
    expect(now.filter((line) => !line.includes('dev eth0'))).toEqual([])
  })

  test('has the configured routes that need one of their own, with gateway and attributes', async () => {
    await using pod = await site()
    const net2 = await attachMacvlan(pod)
    const config = {
      ...SOURCE,
      routes: [
        { dst: '10.60.0.0/16', gw: '10.22.0.7' },
        { dst: '10.61.0.0/16', gw: LAN.gateway[4], mtu: 1300 },
        { dst: '10.62.0.0/16', gw: LAN.gateway[4] },
        { dst: 'fd00:60::/64', gw: 'fd00:10:22::7' },
        { dst: 'fd00:61::/64', gw: LAN.gateway[6], mtu: 1400 },
        { dst: 'fd00:62::/64', gw: LAN.gateway[6] },
      ],
      prevResult: net2.result,
    }
    const result = await add(net2, config)
    await check(net2, { ...config, prevResult: result })
    const asked = ['10.60.0.1', '10.61.0.1', '10.62.0.1', 'fd00:60::1', 'fd00:61::1', 'fd00:62::1']
    const table = (await rules(pod.netns))[0]?.match(/lookup (\d+)/)?.[1]
    const via = (dst: string, gw: string, more = '') => {
      const family = dst.includes(':') ? 6 : 4
      return new RegExp(`^${dst} from ${LAN.pod[family]} via ${gw} dev net2 table ${table}\\b.*${more}`)
    }
    expect((await routeGet(pod.netns, asked, LAN.pod)).filter(Boolean)).toEqual(
      [
        via('10.60.0.1', '10.22.0.7'),
        via('10.61.0.1', LAN.gateway[4], 'mtu 1300'),
        via('10.62.0.1', LAN.gateway[4]),
        via('fd00:60::1', 'fd00:10:22::7'),
        via('fd00:61::1', LAN.gateway[6], 'mtu 1400'),
        via('fd00:62::1', LAN.gateway[6]),
      ].map((pattern) => expect.stringMatching(pattern)),
    )
    // The last of each family is as the default of the table, which is enough.
    expect((await routes(pod.netns, table)).join('\n')).not.toMatch(/62[.:]/)
  })
})

describe('DEL', () => {
  test('of a living pod removes the rules and the table of this NIC only; once more, nothing', async () => {
    await using pod = await site()
    const { eth0, checked } = await withCalico(pod)
    const net2 = await attachMacvlan(pod)
    await add(net2, { ...SOURCE, prevResult: net2.result })
    const others = (await rules(pod.netns)).filter((rule) => !RULES.includes(rule))
    expect(others).toHaveLength(2)
    await del(eth0, checked)
    expect(await rules(pod.netns)).toEqual(others)
    expect(await tableOf(pod, TABLE.eth0)).toEqual([])
    expect(await tableOf(pod, Number(/\d+$/.exec(others[0]?.replace(/ proto.*/, '') ?? '')))).toHaveLength(4)
    const { before, after } = await changes(pod.netns, () => del(eth0, checked))
    expect(after).toBe(before)
  })

  test.each([true, { table: 100 }])('removes the rules when the NIC is gone: %j', async (sourceRouting) => {
    await using pod = await site()
    const { eth0, checked } = await withCalico(pod, { sourceRouting })
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, AUTO))
    await detachCalico(pod)
    expect(await rules(pod.netns)).toHaveLength(2)
    await del(eth0, checked)
    expect(await rules(pod.netns)).toEqual([])
  })

  test('removes the rules when the only NIC is gone', async () => {
    await using pod = await site()
    const { eth0, checked } = await withCalico(pod)
    await detachCalico(pod)
    await del(eth0, checked)
    expect(await rules(pod.netns)).toEqual([])
  })

  test('removes the rules of a NIC that ADD was refused later', async () => {
    await using pod = await site()
    const { eth0, checked } = await withCalico(pod)
    await del(eth0, { ...checked, routes: [{ dst: 'nonsense' }] })
    expect(await rules(pod.netns)).toEqual([])
  })
})

describe('CHECK', () => {
  const DAMAGE: [string, string, string[]][] = [
    [
      'an IPv4 rule is missing',
      `rule del from ${POD[4]} table ${TABLE.eth0}`,
      [`sourceRouting: missing: rule from ${POD[4]}/32 table ${TABLE.eth0} priority 14200 protocol 142`],
    ],
    [
      'a rule has another priority',
      `rule del from ${POD[4]} table ${TABLE.eth0}
      rule add from ${POD[4]} table ${TABLE.eth0} priority 9 protocol 142`,
      [
        `sourceRouting: missing: rule from ${POD[4]}/32 table ${TABLE.eth0} priority 14200 protocol 142`,
        `sourceRouting: not removed: rule from ${POD[4]}/32 table ${TABLE.eth0} priority 9 protocol 142`,
      ],
    ],
    [
      'a route of the table is missing',
      `route del default table ${TABLE.eth0}`,
      [`sourceRouting: missing: 0.0.0.0/0 via 169.254.1.1 dev eth0 table ${TABLE.eth0} proto 142`],
    ],
  ]
  test.each(DAMAGE)('says that %s, and a repeated ADD makes it right', async (_, script, said) => {
    await using pod = await site()
    const { eth0, config, checked } = await withCalico(pod)
    await check(eth0, checked)
    const right = await dump(pod.netns)
    await configure(pod.netns, script)
    const { msg, details = '' } = await fails('CHECK', eth0, checked)
    for (const one of said) expect(`${msg}\n${details}`).toContain(one)
    await add(eth0, config)
    expect((await dump(pod.netns)).split('\n').sort()).toEqual(right.split('\n').sort())
    await check(eth0, checked)
  })

  test('says that an IPv6 rule or route is missing', async () => {
    await using pod = await site()
    const { eth0, checked } = await withCalico(pod)
    await ip6(pod, `rule del from ${POD[6]} table ${TABLE.eth0}`)
    await ip6(pod, `route del default table ${TABLE.eth0}`)
    const { msg, details = '' } = await fails('CHECK', eth0, checked)
    for (const one of [
      `sourceRouting: missing: rule from ${POD[6]}/128 table ${TABLE.eth0} priority 14200 protocol 142`,
      `sourceRouting: missing: ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 table ${TABLE.eth0} proto 142`,
    ])
      expect(`${msg}\n${details}`).toContain(one)
  })
})

describe('what others have', () => {
  test('at the same priority stays, even for the same address', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await configure(
      pod.netns,
      `rule add from 192.0.2.9 table 500 priority 14200
      rule add from ${POD[4]} table 500 priority 14200
      route add 10.88.0.0/16 via 169.254.1.1 dev eth0 table 500`,
    )
    await ip6(pod, `rule add from ${POD[6]} table 500 priority 14200`)
    const before = await rules(pod.netns)
    expect(before).toHaveLength(3)
    const config = calicoConfig(eth0, SOURCE)
    const result = await add(eth0, config)
    expect((await rules(pod.netns)).sort()).toEqual([...before, ...RULES].sort())
    await check(eth0, { ...config, prevResult: result })
    // More packets for our table are their business, too.
    await configure(pod.netns, `rule add from ${POD[4]} fwmark 1 table ${TABLE.eth0} priority 14200 protocol 142`)
    await check(eth0, { ...config, prevResult: result })
    expect(await add(eth0, config)).toEqual(result)
    await del(eth0, config)
    const more = `14200: from ${POD[4]} fwmark 0x1 lookup ${TABLE.eth0} proto 142`
    expect((await rules(pod.netns)).sort()).toEqual([...before, more].sort())
    expect(await routes(pod.netns, '500')).toEqual(['10.88.0.0/16 via 169.254.1.1 dev eth0'])
  })

  const USED: [string, string, string][] = [
    [
      'has a route of somebody else',
      'route add 10.88.0.0/16 via 169.254.1.1 dev eth0 table 100',
      'it has 10.88.0.0/16 via 169.254.1.1 dev eth0 table 100 proto 3',
    ],
    [
      'is where a rule of somebody else leads',
      'rule add from 192.0.2.9 table 100 priority 9',
      'it is that of rule from 192.0.2.9/32 table 100 priority 9 protocol 0',
    ],
    [
      'has a route of ours on another NIC',
      'route add 10.88.0.0/16 dev lo table 100 protocol 142',
      'it has 10.88.0.0/16 dev lo table 100 proto 142',
    ],
  ]
  test.each(USED)('is not touched: a table that %s is refused', async (_, script, found) => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await configure(pod.netns, script)
    const { before, after } = await changes(pod.netns, async () => {
      const answer = await run(environment('ADD', eth0), calicoConfig(eth0, { sourceRouting: { table: 100 } }))
      const { msg, details = '' } = failure(answer)
      expect(`${msg} ${details}`).toContain(
        `sourceRouting: table 100 is in use: ${found}; write another number, such as "sourceRouting": {"table": 101}`,
      )
    })
    expect(after).toBe(before)
  })
})

/** A batch does nothing about IPv6 rules. */
const ip6 = (pod: Site, line: string) => inNetns(pod.netns, 'ip', ['-6', ...line.split(' ')])
