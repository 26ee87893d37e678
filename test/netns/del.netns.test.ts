import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespace, removeNamespaces, routes } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { type Config, environment, run } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { add, del } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [
  { dst: '10.50.0.0/16' },
  { dst: '10.60.0.0/16', priority: 7, table: 100, scope: 'link' },
  { dst: 'fd00:10:50::/64' },
  { dst: 'fd00:10:60::/64', priority: 7, table: 100 },
]
const SUCCESS = { exitCode: 0, stdout: '', stderr: '' }

async function addedPod(): Promise<{ pod: CalicoPod; config: Config & object }> {
  const pod = await calicoPod()
  const prevResult = await add(pod, { routes: ROUTES, prevResult: calicoResult(pod) })
  return { pod, config: { routes: ROUTES, prevResult } }
}

const ours = async (netns: string) =>
  [...(await routes(netns)), ...(await routes(netns, '100'))].filter((route) => route.includes('proto 142'))

describe('DEL', () => {
  test('takes away our routes, of every table and both families, and nothing else', async () => {
    const { pod, config } = await addedPod()
    expect(await ours(pod.netns)).toHaveLength(4)
    await configure(
      pod.netns,
      `
      route add 10.96.0.0/12 via 169.254.1.1 dev eth0
      route add fd00:10:96::/64 via ${CALICO[6]} dev eth0 proto static
      route add 10.50.0.0/16 via 169.254.1.1 dev eth0 metric 99
      route add default via 169.254.1.1 dev eth0 table 100`,
    )
    await del(pod, config)
    expect(await routes(pod.netns)).toEqual([
      '10.50.0.0/16 via 169.254.1.1 dev eth0 metric 99',
      '10.96.0.0/12 via 169.254.1.1 dev eth0',
      '169.254.1.1 dev eth0 scope link',
      'fd00:10:199::153 dev eth0 proto kernel metric 256',
      `fd00:10:96::/64 via ${CALICO[6]} dev eth0 proto static metric 1024`,
    ])
    expect(await routes(pod.netns, '100')).toEqual(['default via 169.254.1.1 dev eth0'])
  })

  test('leaves the routes that we have on another NIC', async () => {
    const { pod, config } = await addedPod()
    const net1 = await ovnNic(pod, { defaults: 'metric 2000' })
    await add(net1, { routes: [{ dst: '10.80.0.0/16' }], prevResult: net1.result })
    await del(pod, config)
    expect(await ours(pod.netns)).toEqual(['10.80.0.0/16 via 10.0.1.1 dev net1 proto 142'])
  })

  test('takes away what an entry with "dev" put on another NIC', async () => {
    const pod = await calicoPod()
    await ovnNic(pod)
    const config = { routes: [{ dst: '10.80.0.0/16', dev: 'net1', gw: '10.0.1.1' }], prevResult: calicoResult(pod) }
    await add(pod, config)
    expect(await ours(pod.netns)).toHaveLength(1)
    await del(pod, config)
    expect(await ours(pod.netns)).toEqual([])
  })

  test('takes away routes that the configuration no longer names', async () => {
    const { pod, config } = await addedPod()
    await del(pod, { ...config, routes: [] })
    expect(await ours(pod.netns)).toEqual([])
  })

  test('finds nothing to do the second time', async () => {
    const { pod, config } = await addedPod()
    await del(pod, config)
    const { before, after } = await changes(pod.netns, () => del(pod, config))
    expect(after).toBe(before)
  })

  test.each([{}, { logLevel: 7 }])('with dryRun changes nothing, whatever else is wrong: %j', async (wrong) => {
    const { pod, config } = await addedPod()
    const { before, after } = await changes(pod.netns, () => del(pod, { ...config, dryRun: true, ...wrong }))
    expect(after).toBe(before)
  })

  test.each([
    { operator: true, pod: false, dry: false },
    { operator: false, pod: true, dry: true },
  ])('is as dry as ADD was where the pod may choose: $operator, $pod', async ({ operator, pod: dryRun, dry }) => {
    const overrides = { dryRun: operator, overrides: { allow: ['dryRun'] }, args: { cni: { dryRun } } }
    const { pod, config } = await addedPod()
    await del(pod, { ...config, ...overrides })
    expect((await ours(pod.netns)).length > 0).toBe(dry)
  })

  test('without ADD before it changes nothing', async () => {
    const pod = await calicoPod()
    const { before, after } = await changes(pod.netns, () =>
      del(pod, { routes: ROUTES, prevResult: calicoResult(pod) }),
    )
    expect(after).toBe(before)
  })

  test.each<{ how: string; change: object | string }>([
    { how: 'no prevResult', change: { prevResult: undefined } },
    { how: 'prevResult null', change: { prevResult: null } },
    { how: 'a prevResult that is no Result', change: { prevResult: ['garbage', { routes: 7 }] } },
    { how: 'a prevResult of CNI 0.2.0', change: { prevResult: { ip4: { ip: '10.199.3.153/32' } } } },
    { how: 'a cniVersion nobody knows', change: { cniVersion: '9.9.9' } },
    { how: 'a cniVersion that is no text', change: { cniVersion: 7 } },
    { how: 'no cniVersion', change: { cniVersion: undefined } },
    { how: 'no name', change: { name: undefined } },
    { how: 'routes that ADD would refuse', change: { routes: [{ dst: 'nonsense' }, 7] } },
    { how: 'keys that ADD would refuse', change: { defaultRoute: 'demote', ovnGateway: 'auto', logLevel: 7 } },
    { how: 'dryRun of the wrong type', change: { dryRun: 'no' } },
    { how: 'a configuration that is an array', change: '[]' },
    { how: 'a configuration that is null', change: 'null' },
  ])('does its work with $how', async ({ change }) => {
    const { pod, config } = await addedPod()
    const answer = await run(environment('DEL', pod), typeof change === 'string' ? change : { ...config, ...change })
    expect(answer).toEqual(SUCCESS)
    expect(await ours(pod.netns)).toEqual([])
  })

  test('succeeds when the namespace is gone, as often as it is asked', async () => {
    const { pod, config } = await addedPod()
    removeNamespace(pod.netns)
    await del(pod, config)
    await del(pod, config)
  })

  test.each([
    { what: 'is empty', change: { CNI_NETNS: '' } },
    { what: 'is a path in a directory that never was', change: { CNI_NETNS: '/no/such/directory/netns' } },
    { what: 'is a regular file', change: { CNI_NETNS: '/etc/hostname' } },
    { what: 'is a directory', change: { CNI_NETNS: '/etc' } },
    { what: 'is a namespace of another kind', change: { CNI_NETNS: '/proc/self/ns/mnt' } },
    { what: 'is the word that some runtimes put there', change: { CNI_NETNS: 'none' } },
  ])('succeeds when CNI_NETNS $what', async ({ change }) => {
    const { pod, config } = await addedPod()
    expect(await run({ ...environment('DEL', pod), ...change }, config)).toEqual(SUCCESS)
    expect(await ours(pod.netns)).toHaveLength(4)
  })

  test('succeeds when CNI_NETNS is not set', async () => {
    const { pod, config } = await addedPod()
    const { CNI_NETNS, ...env } = environment('DEL', pod)
    expect(await run(env, config)).toEqual(SUCCESS)
  })

  test('succeeds when the interface is gone', async () => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, 'link del eth0')
    await del(pod, config)
  })

  test.each(['eth9', 'a"b', "a'b", 'a#b', 'a\\b', '-f', 'a%d', '$(reboot)'])(
    'succeeds for an interface that never was, and takes it for another’s name neither: %s',
    async (ifname) => {
      const { pod, config } = await addedPod()
      await del({ ...pod, ifname }, config)
      expect(await ours(pod.netns)).toHaveLength(4)
    },
  )
})

describe('where there is more than can be read, DEL', () => {
  const flooded = (flush: string) => `case "$*" in *flush*) ${flush} ;; esac\nexec yes '[]'`

  test('has the kernel find our routes on the NIC, of every table and both families, and says so', async () => {
    const { pod, config } = await addedPod()
    using host = hostWhereIpIs(flooded('exec "$REAL_IP" "$@"'))
    const { exitCode, stderr } = await run(environment('DEL', pod), config, host.via)
    expect(exitCode).toBe(0)
    expect(stderr).toContain("the pod's routes could not be read: ip: ")
    expect(await ours(pod.netns)).toEqual([])
  })

  test('says where that fails as well, and why', async () => {
    const { pod, config } = await addedPod()
    using host = hostWhereIpIs(flooded('echo "Flush terminated" >&2; exit 2'))
    const { exitCode, stderr } = await run(environment('DEL', pod), config, host.via)
    expect(exitCode).toBe(0)
    expect(stderr).toContain("the pod's routes could not be read: ip: ")
    expect(stderr).toContain('ip route flush table all proto 142 dev eth0: Flush terminated')
    expect(await ours(pod.netns)).toHaveLength(4)
  })
})

describe('an ADD after DEL', () => {
  test('has its next hop again from Calico’s link route', async () => {
    const pod = await calicoPod({ families: [4] })
    const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
    const result = await add(pod, config)
    await del(pod, config)
    expect(await add(pod, config)).toEqual(result)
  })
})
