import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Cnitool, cnitoolBuilt } from './cnitool.ts'
import { conflist, nic, type PluginConf, tuning, xCalicoRoute } from './conflist.ts'

describe.skipIf(!cnitoolBuilt)('x-calico-route verify, by what a real libcni remembers', () => {
  let cnitool: Cnitool
  beforeEach(async () => {
    cnitool = await Cnitool.start()
  })
  afterEach(() => cnitool.node.close())

  const verify = async (...words: string[]) => {
    const ran = await cnitool.node.run(['/opt/cni/bin/x-calico-route', 'verify', ...words], { reject: false })
    return { exitCode: ran.exitCode, stdout: ran.stdout.trim(), stderr: ran.stderr }
  }

  it('says nothing is attached, that all is well, what differs, and that the pod is gone', async () => {
    const { node } = cnitool
    expect(await verify()).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^no attachment/) })

    const network = cnitool.configure(conflist('k8s-pod-network', '1.0.0', nic.ptp, xCalicoRoute(), tuning))
    const netns = await node.pod('testvm')
    await cnitool.run('add', network, netns)
    expect(await verify()).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/ k8s-pod-network +eth0 +ok$/) })
    expect(await verify('--quiet')).toEqual({ exitCode: 0, stdout: '', stderr: '' })

    await node.inPod(netns, ['ip', 'route', 'del', '198.51.100.0/24'])
    const differs = await verify('--quiet', '-o', 'json')
    expect(differs).toMatchObject({ exitCode: 1, stderr: '' })
    expect(JSON.parse(differs.stdout).attachments).toEqual([
      expect.objectContaining({
        network,
        netns,
        state: 'differs',
        differences: ['routes[0]: missing: 198.51.100.0/24 via 10.198.0.1 dev eth0 proto 142'],
      }),
    ])

    await node.run(['ip', 'netns', 'del', 'testvm'])
    expect(await verify()).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/ gone$/) })
    await cnitool.run('del', network, netns)
    expect(await verify()).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^no attachment/) })
  })

  it.each<[string, PluginConf]>([
    ['ptp', nic.ptp],
    ['calico', { ...nic.calico, type: 'calico' }],
  ])('looks for the node’s return path to a NIC of %s, in both families', async (type, made) => {
    const { node } = cnitool
    // the tests' own by the name of the real one, which decides whose pods the node routes to
    if (type === 'calico') await node.run(['ln', '-s', 'test-calico', '/opt/cni/bin/calico'])
    const network = cnitool.configure(conflist('k8s-pod-network', '1.0.0', made, xCalicoRoute()))
    const netns = await node.pod('testvm')
    expect(await cnitool.run('add', network, netns)).toMatchObject({ exitCode: 0 })
    expect(await verify('--quiet')).toEqual({ exitCode: 0, stdout: '', stderr: '' })

    const { stdout } = await node.inPod(netns, ['ip', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'])
    const addresses = [...stdout.matchAll(/ inet6? (\S+)\//g)].map(([, address = '']) => address)
    expect(addresses).toHaveLength(2)
    for (const address of addresses) await node.run(['ip', 'route', 'del', address])
    const { exitCode, stdout: told } = await verify('--quiet', '-o', 'json')
    expect(exitCode).toBe(1)
    expect(JSON.parse(told).attachments[0]).toMatchObject({
      state: 'differs',
      differences: addresses.map((address) => expect.stringContaining(`no return path to ${address}: the node`)),
    })
    await cnitool.run('del', network, netns)
    await node.run(['ip', 'netns', 'del', 'testvm'])
  })
})
