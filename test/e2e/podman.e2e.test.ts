import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { conflist, nic, tuning, witness, xCalicoRoute } from './conflist.ts'
import { cachedResult, inventory, REACH_SERVICE, reach, routes } from './pod.ts'
import { Podman, podmanHasCni } from './podman.ts'

describe.skipIf(!podmanHasCni)("podman's CNI backend", () => {
  let podman: Podman
  beforeEach(async () => {
    podman = await Podman.start()
  })
  afterEach(() => podman.node.close())

  it.each([
    ['calico', '0.3.1', '169.254.1.1'],
    ['calico', '0.4.0', '169.254.1.1'],
    ['calico', '1.0.0', '169.254.1.1'],
    ['ptp', '1.0.0', '10.198.0.1'],
  ] as const)('runs and removes a container: %s at cniVersion %s', async (first, cniVersion, gateway) => {
    const chain = [nic[first], xCalicoRoute(), tuning]
    const network = podman.configure(conflist(`${first}-${cniVersion}`, cniVersion, ...chain))
    const before = await inventory(podman.node)

    await podman.startContainer('testvm', network)
    const pod = { node: podman.node, netns: await podman.netns('testvm') }
    const kernel = await routes(pod, 'eth0')
    expect(kernel).toContain(`198.51.100.0/24 via ${gateway} proto 142`)
    expect(kernel.filter((route) => route.startsWith('default'))).toEqual([])
    expect(await reach(pod)).toEqual(REACH_SERVICE)
    expect(cachedResult(podman.node, network)).toMatchObject({
      cniVersion,
      routes: [{ dst: '198.51.100.0/24', gw: gateway }, { dst: '2001:db8:51::/64' }],
    })

    await podman.run(['rm', '--force', '--time', '0', 'testvm'])
    expect(await inventory(podman.node)).toEqual(before)
  })

  it('probes VERSION of every plugin before it uses a network', async () => {
    const network = podman.configure(conflist('probed', '1.0.0', nic.calico, xCalicoRoute(), witness))
    await podman.startContainer('probed', network)
    await podman.run(['rm', '--force', '--time', '0', 'probed'])
    const calls = podman.node
      .read('/run/witness.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(calls.map(({ command }) => command)).toEqual(['VERSION', 'ADD', 'VERSION', 'DEL'])
    expect(calls[0].netns).toBe('dummy')
  })

  it('leaves nothing when the plugin after us fails', async () => {
    const network = podman.configure(conflist('failing', '1.0.0', nic.calico, xCalicoRoute(), witness))
    const before = await inventory(podman.node)
    podman.node.write('/run/failing', 'eth0')

    const { stderr, exitCode } = await podman.startContainer('failing', network, { reject: false })
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('plugin type="test-witness" failed (add)')
    expect(await inventory(podman.node)).toEqual(before)
  })

  it('shows our message as we wrote it', async () => {
    const wrong = xCalicoRoute({ routes: [{ dst: '198.51.100.21/24' }] })
    const network = podman.configure(conflist('wrong', '1.0.0', nic.calico, wrong))
    const before = await inventory(podman.node)

    const { stderr } = await podman.startContainer('wrong', network, { reject: false })
    expect(stderr).toMatch(/plugin type="x-calico-route" failed \(add\): .*routes\[0\]\.dst/)
    expect(await inventory(podman.node)).toEqual(before)
  })
})
