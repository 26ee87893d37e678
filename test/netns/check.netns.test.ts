import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespace, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { type Config, environment, run } from '../support/runtime.ts'
import { hostWhereIpIs, throughSed } from '../support/tools.ts'
import { add, check, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const LINK_LOCAL = CALICO[6]
const ROUTES = [
  { dst: '10.50.0.0/16', src: '10.199.3.153', priority: 50, mtu: 1400, advmss: 1360 },
  { dst: '10.60.0.0/16', table: 100 },
  { dst: '10.70.0.0/16', scope: 'link' },
  { dst: 'fd00:10:50::/64', mtu: 1400 },
]

/** A pod after ADD, with the configuration a runtime hands to CHECK. */
async function addedPod(keys: object = { routes: ROUTES }): Promise<{ pod: CalicoPod; config: Config }> {
  const pod = await calicoPod()
  const prevResult = await add(pod, { ...keys, prevResult: calicoResult(pod) })
  return { pod, config: { ...keys, prevResult } }
}

/** Where the next difference begins. */
const NEXT = /; (?=routes\[|defaultRoute)/

async function differences(pod: CalicoPod, config: Config): Promise<string> {
  const { code, msg, details } = await fails('CHECK', pod, config)
  expect({ code, msg }).toEqual({ code: 110, msg: expect.stringMatching(/^eth0: /) })
  return details ?? ''
}

describe('CHECK', () => {
  test('prints nothing and changes nothing when the routes are as ADD left them', async () => {
    const { pod, config } = await addedPod()
    const { before, after } = await changes(pod.netns, () => check(pod, config))
    expect(after).toBe(before)
  })

  test('is content with defaults that were configured to be kept', async () => {
    const { pod, config } = await addedPod({ defaultRoute: 'keep', routes: ROUTES })
    await check(pod, config)
  })

  test('finds a pod without ADD wanting, and leaves it so', async () => {
    const pod = await calicoPod()
    const { before, after } = await changes(pod.netns, async () => {
      const found = await differences(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
      for (const word of ['routes[0]', 'routes[1]', 'routes[2]', 'routes[3]', 'defaultRoute'])
        expect(found).toContain(word)
    })
    expect(after).toBe(before)
  })

  test.each([
    {
      what: 'an IPv4 default that came back',
      script: 'route add default via 169.254.1.1 dev eth0 metric 9',
      told: ['defaultRoute', '0.0.0.0/0', 'metric 9'],
    },
    {
      what: 'an IPv6 default that came back',
      script: `route add ::/0 via ${LINK_LOCAL} dev eth0`,
      told: ['defaultRoute', '::/0'],
    },
    { what: 'a route that is gone', script: 'route del 10.50.0.0/16 metric 50', told: ['routes[0]', '10.50.0.0/16'] },
    {
      what: 'a route of another table that is gone',
      script: 'route flush table 100',
      told: ['routes[1]', '10.60.0.0/16', '100'],
    },
    { what: 'an IPv6 route that is gone', script: 'route del fd00:10:50::/64', told: ['routes[3]', 'fd00:10:50::/64'] },
    {
      what: 'another gateway',
      script: `
        route add 169.254.1.7 dev eth0 scope link
        route replace 10.50.0.0/16 via 169.254.1.7 dev eth0 src 10.199.3.153 metric 50 mtu 1400 advmss 1360 proto 142`,
      told: ['routes[0]', '169.254.1.1', '169.254.1.7'],
    },
    {
      what: 'another IPv6 gateway',
      script: 'route replace fd00:10:50::/64 via fe80::7 dev eth0 mtu 1400 proto 142',
      told: ['routes[3]', LINK_LOCAL, 'fe80::7'],
    },
    {
      what: 'another source',
      script: `
        addr add 10.199.3.154/32 dev eth0
        route replace 10.50.0.0/16 via 169.254.1.1 dev eth0 src 10.199.3.154 metric 50 mtu 1400 advmss 1360 proto 142`,
      told: ['routes[0]', '10.199.3.153', '10.199.3.154'],
    },
    {
      what: 'another MTU',
      script:
        'route replace 10.50.0.0/16 via 169.254.1.1 dev eth0 src 10.199.3.153 metric 50 mtu 1300 advmss 1360 proto 142',
      told: ['routes[0]', 'mtu 1400', 'mtu 1300'],
    },
    {
      what: 'no MTU, in IPv6',
      script: `route replace fd00:10:50::/64 via ${LINK_LOCAL} dev eth0 proto 142`,
      told: ['routes[3]', 'mtu 1400'],
    },
    {
      what: 'another MSS',
      script:
        'route replace 10.50.0.0/16 via 169.254.1.1 dev eth0 src 10.199.3.153 metric 50 mtu 1400 advmss 1000 proto 142',
      told: ['routes[0]', 'advmss 1360', 'advmss 1000'],
    },
    {
      what: 'another metric',
      script: `
        route del 10.50.0.0/16 metric 50
        route add 10.50.0.0/16 via 169.254.1.1 dev eth0 src 10.199.3.153 metric 51 mtu 1400 advmss 1360 proto 142`,
      told: ['routes[0]', 'metric 50'],
    },
    {
      what: 'another table',
      script: `
        route flush table 100
        route add 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142 table 101`,
      told: ['routes[1]', '10.60.0.0/16', '100'],
    },
    {
      what: 'another scope',
      script: 'route replace 10.70.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      told: ['routes[2]', '10.70.0.0/16', '169.254.1.1'],
    },
    {
      what: 'another device',
      script: 'route replace 10.70.0.0/16 dev net1 scope link proto 142',
      told: ['routes[2]', '10.70.0.0/16', 'net1'],
    },
  ])('says what differs: $what', async ({ script, told }) => {
    const { pod, config } = await addedPod()
    await ovnNic(pod)
    await configure(pod.netns, script)
    const found = await differences(pod, config)
    for (const word of told) expect(found).toContain(word)
    expect(found.split(NEXT)).toHaveLength(1) // one difference was made, and one is told
  })

  test('tells all differences in one answer', async () => {
    const { pod, config } = await addedPod()
    await configure(
      pod.netns,
      'route del 10.70.0.0/16\nroute del fd00:10:50::/64\nroute add default via 169.254.1.1 dev eth0',
    )
    const found = (await differences(pod, config)).split(NEXT)
    expect(found).toHaveLength(3)
    expect(found).toEqual([
      expect.stringMatching(/^routes\[2\]/),
      expect.stringMatching(/^routes\[3\]/),
      expect.stringMatching(/^defaultRoute/),
    ])
  })

  test('tells all differences also when one of them is a route that another NIC has taken', async () => {
    const { pod, config } = await addedPod()
    await ovnNic(pod)
    await configure(
      pod.netns,
      `
      route replace 10.70.0.0/16 dev net1 scope link proto 142
      route del fd00:10:50::/64
      route add default via 169.254.1.1 dev eth0`,
    )
    const found = (await differences(pod, config)).split(NEXT)
    expect(found.map((difference) => difference.split(':')[0])).toEqual(['routes[2]', 'routes[3]', 'defaultRoute'])
  })

  test('says that the interface is gone', async () => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, 'link del eth0')
    expect(await differences(pod, config)).toContain('eth0')
  })

  test('tolerates what others added: routes, another NIC, and its defaults', async () => {
    const { pod, config } = await addedPod()
    await ovnNic(pod, { defaults: 'metric 2000' })
    await configure(
      pod.netns,
      `
      route add 10.96.0.0/12 via 169.254.1.1 dev eth0
      route add 10.50.0.0/16 via 10.0.1.1 dev net1 metric 900
      route add default via 10.0.1.1 dev net1
      route add default via 169.254.1.1 dev eth0 table 200
      route add fd00:10:96::/64 via ${LINK_LOCAL} dev eth0`,
    )
    await check(pod, config)
  })

  test('looks at the gateway that the Result reported, not at what could be learnt now', async () => {
    const { pod, config } = await addedPod({ routes: [{ dst: '10.50.0.0/16' }] })
    await configure(
      pod.netns,
      `
      route add 169.254.1.7 dev eth0 scope link
      route replace 10.50.0.0/16 via 169.254.1.7 dev eth0 proto 142`,
    )
    expect(await differences(pod, config)).toMatch(/routes\[0\].*169\.254\.1\.1.*169\.254\.1\.7/)
  })

  test.each([142, 143, 144, 145])(
    'finds a default of the NIC also if it bears a mark of ours, proto %i',
    async (protocol) => {
      const { pod, config } = await addedPod()
      await configure(pod.netns, `route add default via 169.254.1.1 dev eth0 proto ${protocol} metric 4026531840`)
      expect(await differences(pod, config)).toMatch(/^defaultRoute/)
    },
  )

  test('needs a namespace that lives', async () => {
    const { pod, config } = await addedPod()
    removeNamespace(pod.netns)
    const { code, msg } = await fails('CHECK', pod, config)
    expect({ code, msg }).toEqual({ code: 4, msg: expect.stringMatching(/^CNI_NETNS: /) })
  })

  test('needs a prevResult', async () => {
    const { pod } = await addedPod()
    const { code, msg } = await fails('CHECK', pod, { routes: ROUTES })
    expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^prevResult: /) })
  })
})

/** Puts a dummy in the place of the NIC, with its address and no routes, as KubeVirt's bridge binding does. */
const asKubeVirt = (kind: string) => `
  link set eth0 down
  link set eth0 name eth0-nic
  link add eth0 type ${kind}
  addr add 10.199.3.153/32 dev eth0`

// Where the kernel has no dummy driver another kind stands in for it, and ip(8) is made to call it so.
const kernelHasDummy = await tryDummy()

async function tryDummy(): Promise<boolean> {
  const pod = await calicoPod()
  const made = configure(pod.netns, 'link add probe type dummy')
  return made.then(
    () => true,
    () => false,
  )
}

describe('CHECK of a NIC that KubeVirt made a dummy with addresses', () => {
  test('expects no route of it', async () => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, asKubeVirt(kernelHasDummy ? 'dummy' : 'veth'))
    expect((await routes(pod.netns)).filter((route) => route.includes('dev eth0 '))).toEqual([])
    using host = hostWhereIpIs(throughSed('s/"info_kind":"veth"/"info_kind":"dummy"/g'))
    const answer = await run(environment('CHECK', pod), config, kernelHasDummy ? [] : host.via)
    expect(answer).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })

  test('but only where the NIC itself is beside it: anybody can make a dummy', async () => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, asKubeVirt(kernelHasDummy ? 'dummy' : 'veth').replace('eth0-nic', 'gone'))
    using host = hostWhereIpIs(throughSed('s/"info_kind":"veth"/"info_kind":"dummy"/g'))
    const answer = await run(environment('CHECK', pod), config, kernelHasDummy ? [] : host.via)
    expect(JSON.parse(answer.stdout)).toMatchObject({ code: 110 })
  })

  test('but of any other kind it does', async () => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, asKubeVirt('veth'))
    expect((await fails('CHECK', pod, config)).code).toBe(110)
  })
})
