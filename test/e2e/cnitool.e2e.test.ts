import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CALICO, UNDERLAY } from '../support/calico.ts'
import type { CniResult } from '../support/runtime.ts'
import { Cnitool, type CnitoolVerb, cnitoolBuilt, messageOf } from './cnitool.ts'
import { conflist, nic, type PluginConf, ROUTES, tuning, witness, xCalicoRoute } from './conflist.ts'
import { cachedResult, inventory, REACH_ALL, REACH_SERVICE, reach, routes } from './pod.ts'

const VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']

/** What makes the NIC, and the next hops that x-calico-route must learn from the default routes it makes. */
const FIRST = {
  ptp: [nic.ptp, '10.198.0.1', 'fd00:10:198::1'],
  bridge: [nic.bridge, '10.197.0.1', 'fd00:10:197::1'],
  macvlan: [nic.macvlan, UNDERLAY[4], UNDERLAY[6]],
  'calico 3.30': [{ ...nic.calico, release: '3.30' }, CALICO[4], CALICO[6]],
  'calico 3.31': [{ ...nic.calico, release: '3.31' }, CALICO[4], CALICO[6]],
  'calico 3.32': [{ ...nic.calico, release: '3.32' }, CALICO[4], CALICO[6]],
} as const

// Calico itself refuses a cniVersion above 1.0.0
const CASES = Object.entries(FIRST).flatMap(([name, [first, gw4, gw6]]) =>
  VERSIONS.filter((version) => !(name.startsWith('calico') && version === '1.1.0')).map(
    (version) => [name, version, first, gw4, gw6] as const,
  ),
)

/** What libcni makes of status, add, check, gc and del, and since when: `gc` begins with a DEL of its own. */
const CALLS = [
  ['1.1.0', 'STATUS'],
  ['0.3.0', 'ADD'],
  ['0.4.0', 'CHECK'],
  ['0.3.0', 'DEL'],
  ['1.1.0', 'GC'],
  ['0.3.0', 'DEL'],
] as const

const LOG = '/run/x-calico-route.log'
const SUCCESS = { exitCode: 0, stdout: '', stderr: '' }

describe.skipIf(!cnitoolBuilt)('cnitool', () => {
  let cnitool: Cnitool
  beforeEach(async () => {
    cnitool = await Cnitool.start()
  })
  afterEach(() => cnitool.node.close())

  /** A network, and a pod to attach to it. */
  const chain = async (cniVersion: string, ...plugins: PluginConf[]) => {
    const network = cnitool.configure(conflist('k8s-pod-network', cniVersion, ...plugins))
    const netns = await cnitool.node.pod('testvm')
    return { network, netns, node: cnitool.node, cni: (verb: CnitoolVerb) => cnitool.run(verb, network, netns) }
  }

  it.each(CASES)('%s, x-calico-route, tuning at cniVersion %s', async (_, cniVersion, first, gw4, gw6) => {
    const before = await inventory(cnitool.node)
    const pod = await chain(cniVersion, first, xCalicoRoute({ logFile: LOG }), tuning)

    expect(await pod.cni('status')).toEqual(SUCCESS)
    const added = await pod.cni('add')
    expect(added).toMatchObject({ exitCode: 0, stderr: '' })

    const kernel = await routes(pod, 'eth0')
    expect(kernel).toContain(`198.51.100.0/24 via ${gw4} proto 142`)
    expect(kernel).toContain(`2001:db8:51::/64 via ${gw6} proto 142 metric 1024`)
    expect(kernel.filter((route) => route.startsWith('default'))).toEqual([])
    expect(await reach(pod)).toEqual(REACH_SERVICE)

    const result: CniResult = JSON.parse(added.stdout)
    expect(result.cniVersion).toBe(cniVersion)
    expect(result.routes).toEqual([
      { dst: '198.51.100.0/24', gw: gw4 },
      { dst: '2001:db8:51::/64', gw: gw6 },
    ])
    expect(result.ips?.map(({ version }) => version)).toEqual(cniVersion < '1' ? ['4', '6'] : [undefined, undefined])
    expect(cachedResult(cnitool.node, pod.network)).toEqual(result)

    // the plugins of the chain compare the cached Result with the kernel, each in its own way
    const checked = await pod.cni('check')
    if (cniVersion < '0.4') expect(messageOf(checked)).toContain('does not support the CHECK command')
    else expect(checked).toEqual(SUCCESS)

    expect(await pod.cni('gc')).toEqual(SUCCESS) // detaches whatever it is not told to keep
    expect(await inventory(cnitool.node)).toEqual(before)
    expect(await pod.cni('del')).toEqual(SUCCESS)
    expect(await inventory(cnitool.node)).toEqual(before)

    const calls = cnitool.node.read(LOG).match(/(?<="verb":")\w+/g)
    expect(calls).toEqual(CALLS.filter(([since]) => since <= cniVersion).map(([, verb]) => verb))
  })

  it('without x-calico-route the default routes reach everything', async () => {
    const pod = await chain('1.0.0', nic.calico, tuning)
    await pod.cni('add')
    expect(await reach(pod)).toEqual(REACH_ALL)
  })

  it.each(VERSIONS)(
    'DEL detaches a pod that lives, again, and one that is gone, at cniVersion %s',
    async (cniVersion) => {
      const before = await inventory(cnitool.node)
      const pod = await chain(cniVersion, nic.ptp, xCalicoRoute(), tuning)

      await pod.cni('add')
      expect(await pod.cni('del')).toEqual(SUCCESS)
      expect(await routes(pod, 'eth0').catch((error) => error.stderr)).toContain('Cannot find device')
      expect(await pod.cni('del')).toEqual(SUCCESS)
      expect(await inventory(cnitool.node)).toEqual(before)

      await pod.cni('add')
      await cnitool.node.run(['ip', 'netns', 'del', 'testvm'])
      expect(await pod.cni('del')).toEqual(SUCCESS)
      // the kernel takes its time over what was in a namespace that is gone
      await expect.poll(() => inventory(cnitool.node), { timeout: 10_000 }).toEqual(before)
    },
  )

  it.each(VERSIONS)('an ADD that fails in the plugin after us leaves nothing after DEL, at %s', async (cniVersion) => {
    const before = await inventory(cnitool.node)
    const pod = await chain(cniVersion, nic.ptp, xCalicoRoute(), witness)
    cnitool.node.write('/run/failing', 'eth0')

    expect(messageOf(await pod.cni('add'))).toBe('plugin type="test-witness" failed (add): made to fail')
    expect(await inventory(cnitool.node)).not.toEqual(before)
    expect(await pod.cni('del')).toEqual(SUCCESS)
    expect(await inventory(cnitool.node)).toEqual(before)
  })

  it.each([
    ['a default route that came back', 'route add default via 169.254.1.1 dev eth0', /default.* eth0|eth0.* default/],
    ['a route of ours that is gone', 'route del 198.51.100.0/24', /198\.51\.100\.0\/24/],
    [
      'a route of ours that leads elsewhere',
      'route replace 2001:db8:51::/64 dev eth0 metric 1024',
      /2001:db8:51::\/64/,
    ],
  ])('CHECK finds %s, and says which', async (_, tampering, message) => {
    const pod = await chain('1.0.0', nic.calico, xCalicoRoute(), tuning)
    await pod.cni('add')
    expect(await pod.cni('check')).toEqual(SUCCESS)
    await cnitool.node.inPod(pod.netns, ['ip', ...tampering.split(' ')])
    expect(messageOf(await pod.cni('check'))).toMatch(message)
  })

  it('CHECK tolerates routes that others added', async () => {
    const pod = await chain('1.0.0', nic.calico, xCalicoRoute(), tuning)
    await pod.cni('add')
    await cnitool.node.inPod(pod.netns, ['ip', 'route', 'add', '192.0.2.0/24', 'via', '169.254.1.1', 'dev', 'eth0'])
    expect(await pod.cni('check')).toEqual(SUCCESS)
  })

  it('at 1.1.0 hands the plugin after us every key of a route that CNI 1.1 has', async () => {
    const route = { dst: '192.0.2.0/24', gw: '10.198.0.1', mtu: 1300, advmss: 1200, priority: 50 }
    const pod = await chain('1.1.0', nic.ptp, xCalicoRoute({ routes: [route] }), tuning)
    const added = await pod.cni('add')
    expect(JSON.parse(added.stdout).routes).toEqual([route])
    expect(await pod.cni('check')).toEqual(SUCCESS)
  })

  it('keeps a route of another table out of the Result, where the plugin before us would look for it in vain', async () => {
    const route = { dst: '192.0.2.0/24', table: 100 }
    const pod = await chain('1.1.0', nic.ptp, xCalicoRoute({ routes: [...ROUTES, route] }), tuning)
    const added = await pod.cni('add')
    const { stdout } = await cnitool.node.inPod(pod.netns, ['ip', 'route', 'show', 'table', '100'])
    expect(stdout.trim()).toBe('192.0.2.0/24 via 10.198.0.1 dev eth0 proto 142')
    expect(JSON.parse(added.stdout).routes).toHaveLength(ROUTES.length)
    expect(await pod.cni('check')).toEqual(SUCCESS)
    await cnitool.node.inPod(pod.netns, ['ip', 'route', 'flush', 'table', '100'])
    expect(messageOf(await pod.cni('check'))).toContain('192.0.2.0/24')
  })

  it('STATUS says at 1.1.0 that a configuration cannot work, before any pod asks for it', async () => {
    const pod = await chain('1.1.0', nic.ptp, xCalicoRoute({ routes: [{ dst: '198.51.100.21/24' }] }), tuning)
    expect(messageOf(await pod.cni('status'))).toContain('routes[0].dst')
  })
})
