import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { INTERNET } from '../support/calico.ts'
import { conflist, nic, type PluginConf, tuning, witness, xCalicoRoute } from './conflist.ts'
import { Containerd } from './containerd.ts'
import { SERVICE } from './node.ts'
import { cachedResult, inventory } from './pod.ts'

describe('ctr run --cni', () => {
  let containerd: Containerd
  beforeEach(async () => {
    containerd = await Containerd.start()
  })
  afterEach(() => containerd.node.close())

  const configure = (cniVersion: string, ...plugins: PluginConf[]) =>
    containerd.configure(conflist('k8s-pod-network', cniVersion, ...plugins))

  // ctr's DEL comes when the container's namespace is gone and bears none; the kernel takes its time over what was in it
  const gone = (before: object) => expect.poll(() => inventory(containerd.node), { timeout: 10_000 }).toEqual(before)

  it.each([
    ['calico', '0.3.1', '169.254.1.1'],
    ['calico', '0.4.0', '169.254.1.1'],
    ['calico', '1.0.0', '169.254.1.1'],
    ['ptp', '1.0.0', '10.198.0.1'],
    ['bridge', '1.0.0', '10.197.0.1'],
  ] as const)('gives a container its routes: %s at cniVersion %s', async (first, cniVersion, gateway) => {
    await configure(cniVersion, nic[first], xCalicoRoute(), tuning)
    const before = await inventory(containerd.node)

    const pings = [SERVICE, INTERNET].flatMap((host) => [`ping -c 1 -W 3 ${host[4]}`, `ping -c 1 -W 3 ${host[6]}`])
    const running = containerd.run('testvm', 'sh', '-c', ['ip route', ...pings, 'sleep 1'].join('; '))
    const result = await vi.waitFor(() => cachedResult(containerd.node, 'k8s-pod-network'), 30_000)
    const { stdout, stderr, exitCode } = await running

    expect(exitCode).toBe(0)
    expect(stdout).toContain(`198.51.100.0/24 via ${gateway} dev eth0`)
    expect(stdout).not.toContain('default')
    expect(stdout.match(/1 packets received/g)).toHaveLength(2)
    expect(stderr.match(/Network is unreachable/g)).toHaveLength(2)
    expect(result).toMatchObject({
      cniVersion,
      routes: [{ dst: '198.51.100.0/24', gw: gateway }, { dst: '2001:db8:51::/64' }],
    })

    await gone(before)
  })

  it('shows why the plugin after us failed, and leaves nothing', async () => {
    await configure('1.0.0', nic.calico, xCalicoRoute(), witness)
    const before = await inventory(containerd.node)
    containerd.node.write('/run/failing', 'eth0')

    const { stderr, exitCode } = await containerd.run('failing', 'sleep', '0')
    expect({ stderr, exitCode }).toEqual({
      stderr: expect.stringContaining('plugin type="test-witness" failed (add): made to fail'),
      exitCode: 1,
    })
    await gone(before)
  })

  it('shows our message as we wrote it', async () => {
    await configure('1.0.0', nic.calico, xCalicoRoute({ routes: [{ dst: '198.51.100.21/24' }] }))
    const before = await inventory(containerd.node)

    const { stderr } = await containerd.run('wrong', 'sleep', '0')
    expect(stderr).toMatch(/^ctr: plugin type="x-calico-route" failed \(add\): routes\[0\]\.dst.*\n$/)
    await gone(before)
  })
})
