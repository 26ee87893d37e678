import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, type CalicoPod, type Family } from '../support/calico.ts'
import {
  AUTO,
  BEHIND_CALICO,
  DEMOTE,
  demoted,
  everywhere,
  internet,
  ofCalico,
  ofOvn,
  onCalico,
  onOvn,
} from '../support/chains.ts'
import { changes, configure, dump, removeNamespaces, routes } from '../support/netns.ts'
import {
  attachCalico,
  attachOvn,
  byOvn,
  defaults,
  detachCalico,
  detachOvn,
  type OvnNic,
  paths,
  type Site,
  separated,
  site,
  watchDefaults,
} from '../support/ovn-nic.ts'
import { type Config, environment, run } from '../support/runtime.ts'
import { add, check, del, failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

const FAMILIES: { name: string; families: readonly Family[] }[] = [
  { name: 'IPv4', families: [4] },
  { name: 'IPv6', families: [6] },
  { name: 'dual stack', families: [4, 6] },
]
describe.each(FAMILIES)('Calico first, then the OVN NIC: $name', ({ families }) => {
  test('the default goes to the OVN NIC, whose own chain asks for it by address', async () => {
    await using pod = await site({ families })
    const eth0 = await attachCalico(pod)
    expect(await paths(pod.netns, ...internet(families))).not.toEqual(byOvn(families))
    await add(eth0, ofCalico(eth0))
    expect(await defaults(pod.netns)).toEqual([])

    // As kube-ovn makes a NIC that is not the default one: without default route, and no gateway in the Result.
    const net1 = await attachOvn(pod, { defaultRoute: false })
    const gateway = {
      ...(families.includes(4) && { ipv4: '10.0.1.1' }),
      ...(families.includes(6) && { ipv6: 'fd00:10:0:1::1' }),
    }
    const config = ofOvn(net1, { ovnGateway: gateway })
    const result = await add(net1, config)

    expect(await defaults(pod.netns)).toEqual(onOvn(families, { proto: 143 }))
    expect(result.routes).toEqual(
      expect.arrayContaining(
        families.map((family) =>
          family === 4 ? { dst: '0.0.0.0/0', gw: '10.0.1.1' } : { dst: '::/0', gw: 'fd00:10:0:1::1' },
        ),
      ),
    )
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families))

    const before = await dump(pod.netns)
    expect(await add(net1, config)).toEqual(result)
    await add(eth0, ofCalico(eth0))
    await check(net1, { ...config, prevResult: result })
    expect(await dump(pod.netns)).toBe(before)

    await del(net1, { ...config, prevResult: result })
    expect(await defaults(pod.netns)).toEqual([])
    await detachOvn(pod)
    expect(await paths(pod.netns, ...everywhere(families))).toEqual({
      ...separated(families),
      ...Object.fromEntries(internet(families).map((address) => [address, 'ENETUNREACH, no packets'])),
    })

    // and once more on the pod that lives
    const again = await attachOvn(pod, { defaultRoute: false })
    await add(again, ofOvn(again, { ovnGateway: gateway }))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families))
  })

  test('"auto" takes over the default that kube-ovn made', async () => {
    await using pod = await site({ families })
    const eth0 = await attachCalico(pod)
    await add(eth0, ofCalico(eth0))
    const net1 = await attachOvn(pod)
    const result = await add(net1, ofOvn(net1, AUTO))
    expect(await defaults(pod.netns)).toEqual(onOvn(families))
    await check(net1, { ...ofOvn(net1, AUTO), prevResult: result })
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families))

    await del(eth0, ofCalico(eth0))
    await detachCalico(pod)
    expect(await defaults(pod.netns)).toEqual(onOvn(families))
    expect(await paths(pod.netns, ...internet(families))).toEqual(byOvn(families))
  })
})

const NAMES = [
  { calico: 'eth0', ovn: 'net1' },
  { calico: 'net1', ovn: 'eth0' },
]
const ORDERS = FAMILIES.flatMap((row) => NAMES.map((names) => ({ ...row, ...names })))

describe.each(ORDERS)('the OVN NIC $ovn first, then Calico’s $calico: $name', ({ families, calico, ovn }) => {
  test('without demotion Calico does not get in', async () => {
    await using pod = await site({ families })
    await attachOvn(pod, { ifname: ovn })
    const before = await dump(pod.netns)
    await expect(attachCalico(pod, calico)).rejects.toThrow('File exists')
    expect(await dump(pod.netns)).toBe(before)
  })

  test('with it Calico does, and the default is restored with its own metric', async () => {
    await using pod = await site({ families })
    const second = await attachOvn(pod, { ifname: ovn })
    const gaps = await watchDefaults(pod.netns)
    const ofSecond = ofOvn(second, DEMOTE)
    const parked = await add(second, ofSecond)
    expect(await defaults(pod.netns)).toEqual(demoted(families, ovn))
    // If nothing else ever runs, the pod is none the worse.
    expect(await paths(pod.netns, ...internet(families))).toEqual(byOvn(families, ovn))
    expect(await add(second, ofSecond)).toEqual(parked)
    await check(second, { ...ofSecond, prevResult: parked })
    expect(await defaults(pod.netns)).toEqual(demoted(families, ovn))

    const first = await attachCalico(pod, calico)
    const ofFirst = ofCalico(first, AUTO)
    const result = await add(first, ofFirst)
    expect(await gaps()).toEqual([])

    expect(await defaults(pod.netns)).toEqual(onOvn(families, { proto: 145, nic: ovn }))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families, calico, ovn))
    expect(result.routes?.map(({ dst }) => dst)).toEqual(families.flatMap((family) => BEHIND_CALICO[family]))

    // Each of the two, again, finds nothing to do.
    const before = await dump(pod.netns)
    expect(await add(first, ofFirst)).toEqual(result)
    await add(second, ofSecond)
    await check(first, { ...ofFirst, prevResult: result })
    await check(second, { ...ofSecond, prevResult: parked })
    expect(await dump(pod.netns)).toBe(before)
  })

  test('Calico’s NIC leaves the living pod, and comes back', async () => {
    await using pod = await site({ families })
    const second = await attachOvn(pod, { ifname: ovn })
    await add(second, ofOvn(second, DEMOTE))
    const first = await attachCalico(pod, calico)
    await add(first, ofCalico(first, AUTO))

    const gaps = await watchDefaults(pod.netns)
    await del(first, ofCalico(first, AUTO))
    await detachCalico(pod)
    expect(await gaps()).toEqual([])
    expect(await defaults(pod.netns)).toHaveLength(families.length)
    expect(await paths(pod.netns, ...internet(families))).toEqual(byOvn(families, ovn))

    const again = await attachCalico(pod, calico)
    await add(again, ofCalico(again, AUTO))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families, calico, ovn))
  })

  test('the OVN NIC leaves the living pod, and comes back', async () => {
    await using pod = await site({ families })
    const second = await attachOvn(pod, { ifname: ovn })
    await add(second, ofOvn(second, DEMOTE))
    const first = await attachCalico(pod, calico)
    await add(first, ofCalico(first, AUTO))

    await del(second, ofOvn(second, DEMOTE))
    await detachOvn(pod)
    expect(await defaults(pod.netns)).toEqual([])
    expect(await paths(pod.netns, ...everywhere(families))).toEqual({
      ...separated(families, calico, ovn),
      ...Object.fromEntries(internet(families).map((address) => [address, 'ENETUNREACH, no packets'])),
    })

    // Calico's NIC is there: nothing has to make way any more.
    const again = await attachOvn(pod, { ifname: ovn })
    await add(again, ofOvn(again, DEMOTE))
    expect(await defaults(pod.netns)).toEqual(onOvn(families, { nic: ovn, proto: 145 }))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families, calico, ovn))

    // And it will make way, should Calico's NIC leave and come back.
    await del(first, ofCalico(first, AUTO))
    await detachCalico(pod)
    const back = await attachCalico(pod, calico)
    await add(back, ofCalico(back, AUTO))
    expect(await paths(pod.netns, ...everywhere(families))).toEqual(separated(families, calico, ovn))
  })
})

describe('a chain that ends half-way, on a pod that lives on', () => {
  /** The OVN NIC with its default demoted, and Calico's NIC, after which our plugin has not run. */
  const halfWay = async (pod: Site) => {
    const net1 = await attachOvn(pod)
    await add(net1, ofOvn(net1, DEMOTE))
    return { net1, eth0: await attachCalico(pod) }
  }

  test('DEL of Calico’s NIC restores what was demoted for it', async () => {
    await using pod = await site()
    const { eth0 } = await halfWay(pod)
    await del(eth0, ofCalico(eth0, AUTO))
    await detachCalico(pod)
    expect(await paths(pod.netns, ...internet([4, 6]))).toEqual(byOvn([4, 6]))
  })

  test('DEL of the OVN NIC leaves Calico’s default alone', async () => {
    await using pod = await site()
    const { net1 } = await halfWay(pod)
    await del(net1, ofOvn(net1, DEMOTE))
    await detachOvn(pod)
    expect(await defaults(pod.netns)).toEqual(onCalico([4, 6]))
  })

  test('DEL of the OVN NIC alone, before Calico ever came, restores its default', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await add(net1, ofOvn(net1, DEMOTE))
    await del(net1, ofOvn(net1, DEMOTE))
    expect(await defaults(pod.netns)).toEqual(onOvn([4, 6]))
  })

  test('an ADD that is refused leaves the demoted default where it is', async () => {
    await using pod = await site()
    const { eth0 } = await halfWay(pod)
    const { before, after } = await changes(pod.netns, async () => {
      const refused = ofCalico(eth0, { ...AUTO, routes: [{ dst: '10.50.0.0/16', gw: '192.0.2.1' }] })
      expect(failure(await run(environment('ADD', eth0), refused)).code).toBe(100)
    })
    expect(after).toBe(before)
    await add(eth0, ofCalico(eth0, AUTO))
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separated([4, 6]))
  })
})

describe('the kernel that the plan relies on', () => {
  const STANDING = {
    'through a gateway of another NIC': 'route add ::/0 via fe80::1 dev eth0',
    'that is on-link on another NIC': 'route add ::/0 dev eth0',
    'learnt from a router advertisement': 'route add ::/0 via fe80::1 dev eth0 proto ra expires 600',
    'with attributes of its own': 'route add ::/0 via fe80::1 dev eth0 mtu 1400 src fd00:10:199::153',
  }
  test.each(Object.entries(STANDING))('replaces an IPv6 default %s, and leaves one', async (_, line) => {
    await using pod = await site()
    await attachCalico(pod)
    await attachOvn(pod, { defaultRoute: false })
    await configure(pod.netns, `route del ::/0\n${line}\nroute replace ::/0 via fd00:10:0:1::1 dev net1 proto 145`)
    expect((await defaults(pod.netns)).slice(1)).toEqual(onOvn([6], { proto: 145 }))
  })

  test('refuses a second default of the same metric on another NIC, and takes one of another metric', async () => {
    await using pod = await site()
    await attachOvn(pod)
    await attachCalico(pod).catch(() => {})
    const more = (script: string) =>
      configure(pod.netns, `link add d0 type veth peer name d1\nlink set d0 up\n${script}`)
    await expect(more('route add default dev d0')).rejects.toThrow('File exists')
    await configure(pod.netns, 'link del d0')
    await expect(more('route add ::/0 dev d0')).rejects.toThrow('File exists')
    await configure(pod.netns, 'link del d0')
    await more('route add default dev d0 metric 1\nroute add ::/0 dev d0 metric 1025')
    expect(await defaults(pod.netns)).toHaveLength(4)
  })
})

describe('a subnet that is on the underlay as well (u2o)', () => {
  const U2O = { 4: '10.0.1.254', 6: 'fd00:10:0:1::fe' }

  test('auto trusts the gateway that the kernel has, not the one that was reported', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await add(eth0, ofCalico(eth0))
    const net1 = await attachOvn(pod, { gateway: U2O })
    expect(net1.result.ips?.map(({ gateway }) => gateway)).toEqual(['10.0.1.1', 'fd00:10:0:1::1'])
    const result = await add(net1, ofOvn(net1, AUTO))
    const expected = ['default via 10.0.1.254 dev net1', 'default via fd00:10:0:1::fe dev net1 metric 1024']
    expect(await defaults(pod.netns)).toEqual(expected)
    expect(result.routes).toEqual(
      expect.arrayContaining([
        { dst: '0.0.0.0/0', gw: '10.0.1.254' },
        { dst: '::/0', gw: 'fd00:10:0:1::fe' },
      ]),
    )
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separated([4, 6]))
  })

  test('demotion and restoration keep it', async () => {
    await using pod = await site()
    const net1 = await attachOvn(pod, { gateway: U2O })
    await add(net1, ofOvn(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await add(eth0, ofCalico(eth0, AUTO))
    expect(await defaults(pod.netns)).toEqual([
      'default via 10.0.1.254 dev net1 proto 145',
      'default via fd00:10:0:1::fe dev net1 proto 145 metric 1024',
    ])
    expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separated([4, 6]))
  })
})

describe('refused, the pod untouched', () => {
  const refuses = async (nic: CalicoPod | OvnNic, config: Config, msg: string | RegExp, code = 7) => {
    const { before, after } = await changes(nic.netns, async () => {
      const said = failure(await run(environment('ADD', nic), config))
      expect(said).toMatchObject({ code, msg: typeof msg === 'string' ? msg : expect.stringMatching(msg) })
    })
    expect(after).toBe(before)
  }

  test('auto where no NIC has or had a gateway', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await attachOvn(pod, { defaultRoute: false })
    await refuses(eth0, ofCalico(eth0, AUTO), /^ovnGateway: no IPv4 or IPv6 gateway is known: .*; write its address/)
  })

  test('auto for a family that nobody has', async () => {
    await using pod = await site({ families: [4] })
    const net1 = await attachOvn(pod)
    await add(net1, ofOvn(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await refuses(eth0, ofCalico(eth0, { ovnGateway: { ipv4: 'auto', ipv6: 'auto' } }), /^ovnGateway.*no IPv6 gateway/)
    await add(eth0, ofCalico(eth0, AUTO))
  })

  test.each([
    { ovnGateway: { ipv4: 'fd00:10:0:1::1' }, says: /^ovnGateway\.ipv4: fd00:10:0:1::1 is not an IPv4 address/ },
    { ovnGateway: { ipv6: '10.0.1.1' }, says: /^ovnGateway\.ipv6: 10\.0\.1\.1 is not an IPv6 address/ },
    { ovnGateway: '10.0.9.1', says: /^ovnGateway.*: 10\.0\.9\.1 is not on-link on net1/ },
    { ovnGateway: { ipv6: 'fd00:99::1' }, says: /^ovnGateway\.ipv6: fd00:99::1 is not on-link on net1/ },
    { ovnGateway: '10.0.1.0/24', says: /^ovnGateway: must be "auto" or an IP address/ },
    { ovnGateway: 'Auto', says: /^ovnGateway: must be "auto" or an IP address/ },
    { ovnGateway: { ipv4: '10.0.1.1', device: 'net1' }, says: /^ovnGateway\.device: / },
    { ovnGateway: { ipv4: '10.0.1.1', dev: 'net9' }, says: /^ovnGateway\.dev: the pod has no interface net9; it has / },
    { ovnGateway: { ipv4: '10.0.1.1', dev: 'net2' }, says: /^ovnGateway\.dev: interface net2 is down/ },
    { ovnGateway: { ipv4: 'auto', dev: 'eth9' }, says: /^ovnGateway\.dev: the pod has no interface eth9/ },
    { ovnGateway: { ipv4: '10.0.1.1', priority: -1 }, says: /^ovnGateway\.priority: / },
  ])('$ovnGateway', async ({ ovnGateway, says }) => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await configure(pod.netns, 'link add net2 type veth peer name net3')
    await refuses(net1, ofOvn(net1, { ovnGateway }), says)
  })

  test('an IPv6 gateway on a NIC that has no IPv6', async () => {
    await using pod = await site({ families: [4] })
    const net1 = await attachOvn(pod)
    await refuses(
      net1,
      ofOvn(net1, { ovnGateway: 'fd00:10:0:1::1' }),
      /^ovnGateway.*fd00:10:0:1::1 is not on-link on net1/,
    )
  })

  test.each([
    { title: 'went', leave: (pod: Site) => detachOvn(pod) },
    { title: 'went down', leave: (pod: Site) => configure(pod.netns, 'link set net1 down') },
  ])('restoring after the NIC $title', async ({ leave }) => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await add(net1, ofOvn(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await leave(pod)
    await refuses(eth0, ofCalico(eth0, AUTO), /^ovnGateway: no IPv4 or IPv6 gateway is known/)
    expect(await defaults(pod.netns)).toEqual(onCalico([4, 6]))
    await del(eth0, ofCalico(eth0, AUTO))
    await del(net1, ofOvn(net1, DEMOTE))
  })
})

test('demote does nothing where there is no default', async () => {
  await using pod = await site()
  const net1 = await attachOvn(pod, { defaultRoute: false })
  const { before, after } = await changes(pod.netns, async () => {
    expect(await add(net1, ofOvn(net1, DEMOTE))).toEqual(net1.result)
  })
  expect(after).toBe(before)
})

describe('two copies at once in one pod', () => {
  const ROUNDS = Number(process.env.XCR_STRESS_ROUNDS ?? 200)
  const PODS = 4

  // What a runtime that attaches two networks at the same time may find when the copies start.
  const STARTS = {
    'the default demoted, Calico’s beside it': `
      route replace default via ${CALICO[4]} dev eth0
      route replace ::/0 via ${CALICO[6]} dev eth0
      route replace default via 10.0.1.1 dev net1 proto 144 metric 4026531840
      route replace ::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864`,
    'kube-ovn’s default in the place of Calico’s': `
      route replace default via 10.0.1.1 dev net1
      route replace ::/0 via fd00:10:0:1::1 dev net1`,
  }
  const RESET = `
    route flush proto 142
    -6 route flush proto 142
    route flush exact 0.0.0.0/0
    -6 route flush exact ::/0`

  test(`end in the same state: ${ROUNDS} times`, async () => {
    const starts = Object.values(STARTS)
    const seen = new Map<string, number>()
    const inOnePod = async (index: number) => {
      await using pod = await site()
      const eth0 = await attachCalico(pod)
      const net1 = await attachOvn(pod)
      for (let round = index; round < ROUNDS; round += PODS) {
        await configure(pod.netns, `${RESET.replaceAll('-6 ', '')}${starts[(round >> 2) % starts.length]}`)
        const calls = [
          run(environment('ADD', eth0), ofCalico(eth0, AUTO)),
          run(environment('ADD', net1), ofOvn(net1, DEMOTE)),
        ]
        const answers = await Promise.all(calls)
        const said = answers.map(({ exitCode, stdout, stderr }) =>
          exitCode === 0 && stderr === '' ? 'ok' : stdout + stderr,
        )
        const kernel = (await routes(pod.netns)).filter((route) => /default|proto 142/.test(route))
        const outcome = [...said, ...kernel.map((route) => route.replace(/(default.*) proto \d+/, '$1'))].join('\n')
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
      }
      expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separated([4, 6]))
    }
    await Promise.all(Array.from({ length: PODS }, (_, index) => inOnePod(index)))
    expect(Object.fromEntries(seen)).toEqual({
      [[
        'ok',
        'ok',
        '10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        'default via 10.0.1.1 dev net1',
        'default via fd00:10:0:1::1 dev net1 metric 1024',
        `fd00:10:199::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
        `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
      ].join('\n')]: ROUNDS,
    })
  }, 600_000)
})
