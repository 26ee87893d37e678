import { lstatSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { conflist, nic, tuning, xCalicoRoute } from './conflist.ts'
import { Containerd } from './containerd.ts'
import { inventory, routes } from './pod.ts'

const PODS = 20
const ETH0 = [
  '169.254.1.1 scope link',
  '198.51.100.0/24 via 169.254.1.1 proto 142',
  '2001:db8:51::/64 via fe80::ecee:eeff:feee:eeee proto 142 metric 1024',
  expect.stringMatching(/^fd00:10:199::[0-9a-f]+ proto kernel metric 256$/),
]

describe(`${PODS} pods that a node starts at once, with the plugin as install lays it out`, () => {
  let containerd: Containerd
  beforeAll(async () => {
    containerd = await Containerd.start()
    await containerd.node.run([PLUGIN, 'install', '--to', '/opt/cni/bin'])
    await containerd.configure(conflist('k8s-pod-network', '1.0.0', nic.calico, xCalicoRoute(), tuning))
  })
  afterAll(() => containerd?.node.close())

  it('all get their routes, one after the other through two slots, and all go again', async () => {
    const before = await inventory(containerd.node)
    const names = Array.from({ length: PODS }, (_, i) => `pod-${i}`)
    const ids = await Promise.all(names.map((name) => containerd.cri.runSandbox(name)))
    for (const id of ids) {
      const { netns } = await containerd.cri.sandbox(id)
      expect(await routes({ node: containerd.node, netns }, 'eth0')).toEqual(ETH0)
    }
    expect(containerd.node.list('/run/x-calico-route')).toEqual(['0', '1', 'turns'])
    for (const [file, mode] of [
      ['', 0o40700],
      ['/0', 0o100600],
      ['/1', 0o100600],
    ] as const) {
      expect(lstatSync(containerd.node.path(`/run/x-calico-route${file}`))).toMatchObject({ uid: 0, mode })
    }

    await Promise.all(ids.map((id) => containerd.cri.stopSandbox(id)))
    await Promise.all(ids.map((id) => containerd.cri.removeSandbox(id)))
    expect(await inventory(containerd.node)).toEqual(before)
    for (const slot of ['0', '1']) {
      await containerd.node.run(['flock', '--nonblock', `/run/x-calico-route/${slot}`, 'true'])
    }
  })
})
