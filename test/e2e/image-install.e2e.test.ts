import { createHash } from 'node:crypto'
import { createReadStream, lstatSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { conflist, nic, tuning, xCalicoRoute } from './conflist.ts'
import { Containerd } from './containerd.ts'
import { buildInstaller, filesOf, probe, runContainer } from './installer.ts'
import { type Attachment, REACH_SERVICE, reach, routes } from './pod.ts'

const INSTALLED = '/opt/cni/bin/x-calico-route'

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  return hash.digest('hex')
}

describe('the image', () => {
  let containerd: Containerd
  beforeAll(async () => {
    containerd = await Containerd.start()
    await buildInstaller(containerd)
    await removePlugin()
    await containerd.configure(conflist('k8s-pod-network', '1.0.0', nic.calico, xCalicoRoute(), tuning))
  })
  afterAll(() => containerd?.node.close())

  const removePlugin = () => containerd.node.run(['rm', '-f', INSTALLED])

  /** @returns the pod, attached by what is in the node's directory of plugins */
  const runPod = async (name: string): Promise<Attachment> => {
    const { netns } = await containerd.cri.sandbox(await containerd.cri.runSandbox(name))
    return { node: containerd.node, netns }
  }

  const isInstalled = async () => {
    const file = containerd.node.path(INSTALLED)
    const { mode, uid } = lstatSync(file)
    expect({ mode, uid }).toEqual({ mode: 0o100755, uid: 0 })
    expect(await sha256(file)).toBe(await sha256(PLUGIN))
    expect(containerd.node.list('/opt/cni/bin').filter((name) => name.startsWith('.'))).toEqual([])
  }

  it('holds the plugin, ip and nsenter, their libraries, and nothing else', async () => {
    const files = await filesOf(containerd.node)
    const others = files.filter((file) => !/^lib(64)?\/.*\.so(\.\d+)*$/.test(file))
    expect(others.map((file) => basename(file)).sort()).toEqual(['ip', 'nsenter', 'run', 'x-calico-route'])
  })

  it('puts the plugin onto a node, and a pod there gets its routes', async () => {
    await expect(containerd.cri.runSandbox('too-early')).rejects.toThrow('failed to find plugin "x-calico-route"')

    expect(await runContainer(containerd, 'install', '--rm')).toMatchObject({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringMatching(/^\/host\/opt\/cni\/bin\/x-calico-route: x-calico-route \S+ installed\n$/),
    })
    await isInstalled()
    const pod = await runPod('testvm')
    expect(await routes(pod, 'eth0')).toEqual([
      '169.254.1.1 scope link',
      '198.51.100.0/24 via 169.254.1.1 proto 142',
      '2001:db8:51::/64 via fe80::ecee:eeff:feee:eeee proto 142 metric 1024',
      expect.stringMatching(/^fd00:10:199::[0-9a-f]+ proto kernel metric 256$/),
    ])
    expect(await reach(pod)).toEqual(REACH_SERVICE)
  })

  it('leaves a node alone that lacks what ADD needs, and says so', async () => {
    await removePlugin()
    // of the node, not of the image, which has an ip of its own
    await containerd.node.run(['mount', '--bind', '/dev/null', '/usr/bin/ip'])
    try {
      const { exitCode, stderr } = await runContainer(containerd, 'install', '--rm')
      expect(exitCode).not.toBe(0)
      expect(stderr).toContain('x-calico-route install: STATUS: ADD could not work on this node: ')
    } finally {
      await containerd.node.run(['umount', '/usr/bin/ip'])
    }
    expect(containerd.node.list('/opt/cni/bin').filter((name) => name.includes('x-calico-route'))).toEqual([])
  })

  it('stays, puts the plugin back when it is gone, and is ready while the pods have their routes', async () => {
    const { exitCode, stderr } = await runContainer(containerd, 'stay', '--detach', '--log-uri', 'file:///run/stay.log')
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    await until(isInstalled)
    expect(await capabilitiesOf('stay')).toBe(CAP_SYS_ADMIN)

    const pod = await runPod('witness')
    expect(await probe(containerd, 'stay')).toEqual({ exitCode: 0, stdout: expect.any(String), stderr: '' })
    await containerd.node.inPod(pod.netns, ['ip', 'route', 'del', '198.51.100.0/24'])
    const unready = await probe(containerd, 'stay')
    expect(unready.exitCode).not.toBe(0)
    expect(unready.stdout).toMatch(/ k8s-pod-network +eth0 +differs +.*198\.51\.100\.0\/24/)

    await removePlugin()
    await until(isInstalled)
    await containerd.ctr(['tasks', 'kill', '--signal', 'SIGTERM', 'stay'])
    await until(async () => expect((await containerd.ctr(['tasks', 'list'])).stdout).toMatch(/^stay .*STOPPED$/m))
  })

  const capabilitiesOf = async (container: string) => {
    const { stdout } = await containerd.ctr(['tasks', 'list'])
    const [, pid = ''] = new RegExp(`^${container} +(\\d+)`, 'm').exec(stdout) ?? []
    const status = await containerd.node.run(['cat', `/proc/${pid}/status`])
    return /^CapBnd:\t(\w+)$/m.exec(status.stdout)?.[1]
  }
})

const CAP_SYS_ADMIN = (1n << 21n).toString(16).padStart(16, '0')

/** Longer than the container takes to look again. */
async function until(expectation: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < 60; tries += 1) {
    try {
      return await expectation()
    } catch {
      await sleep(500)
    }
  }
  await expectation()
}
