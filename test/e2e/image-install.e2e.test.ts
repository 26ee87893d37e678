import { createHash } from 'node:crypto'
import { createReadStream, lstatSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigMap } from '../cli/config-map.ts'
import { PLUGIN } from '../support/runtime.ts'
import { conflist, nic, tuning, xCalicoRoute } from './conflist.ts'
import { Containerd } from './containerd.ts'
import { buildInstaller, CONFIG_MAP, get, probe, runContainer } from './installer.ts'
import { type Attachment, REACH_ALL, REACH_SERVICE, reach, routes } from './pod.ts'

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

  const removePlugin = () => containerd.node.run(['sh', '-c', `rm -rf ${INSTALLED} /opt/cni/bin/.x-calico-route*`])
  const removeGate = () => containerd.node.run(['rm', '-f', INSTALLED])
  const installed = () => containerd.node.list('/opt/cni/bin').filter((name) => name.includes('x-calico-route'))

  /** @returns the pod, attached by what is in the node's directory of plugins */
  const runPod = async (name: string): Promise<Attachment> => {
    const { netns } = await containerd.cri.sandbox(await containerd.cri.runSandbox(name))
    return { node: containerd.node, netns }
  }

  const isInstalled = async () => {
    const digest = await sha256(PLUGIN)
    const executable = `.x-calico-route-${digest.slice(0, 16)}`
    expect(installed()).toEqual([executable, 'x-calico-route'])
    for (const name of installed()) {
      const { mode, uid } = lstatSync(containerd.node.path(`/opt/cni/bin/${name}`))
      expect({ name, mode, uid }).toEqual({ name, mode: 0o100755, uid: 0 })
    }
    expect(await sha256(containerd.node.path(`/opt/cni/bin/${executable}`))).toBe(digest)
    expect(containerd.node.read(INSTALLED)).toMatch(new RegExp(` one of 2 slots .* ${executable}$`, 'm'))
  }

  it('puts the plugin onto a node, and a pod there gets its routes', async () => {
    await expect(containerd.cri.runSandbox('too-early')).rejects.toThrow('failed to find plugin "x-calico-route"')

    // The machine's /etc/containerd/config.toml may say something else: this node's containerd has not read it.
    const config = containerd.node.run(['sh', '-c', 'tr "\\0" "\\n" < /proc/$(pidof containerd)/cmdline | tail -n +3'])
    const { stdout } = await containerd.node.run(['containerd', '-c', (await config).stdout.trim(), 'config', 'dump'])
    const [, directory] = /cri"\.cni\]\s+bin_dir = "(.+)"/.exec(stdout) ?? []
    expect(await runContainer(containerd, 'install', '--rm')).toMatchObject({
      exitCode: 0,
      stderr: `${directory}: plugin directory of containerd, its default\n`,
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

  it('brings its tools to a node that lacks one, and a pod there gets its routes', async () => {
    await removePlugin()
    // of the node, not of the image, which has an ip of its own
    await containerd.node.run(['mount', '--bind', '/dev/null', '/usr/bin/ip'])
    try {
      const { exitCode, stdout, stderr } = await runContainer(containerd, 'install', '--rm')
      expect({ exitCode, stdout }).toEqual({
        exitCode: 0,
        stdout: expect.stringContaining(' installed with a loader, libraries and tools of its own\n'),
      })
      expect(stderr).toMatch(/^STATUS: ADD could not work on this node: ip: .*; so the plugin brings what it needs$/m)
    } finally {
      await containerd.node.run(['umount', '/usr/bin/ip'])
    }
    expect(installed()).toEqual([expect.stringMatching(/^\.x-calico-route-[0-9a-f]{16}\.d$/), 'x-calico-route'])
    const pod = await runPod('brought')
    expect(await routes(pod, 'eth0')).toContain('198.51.100.0/24 via 169.254.1.1 proto 142')
    expect(await reach(pod)).toEqual(REACH_SERVICE)
    await removePlugin()
  })

  /** Starts the agent, as kubelet does after the init container. */
  const startAgent = async (...flags: string[]) => {
    expect((await runContainer(containerd, 'install', '--rm')).exitCode).toBe(0)
    const { exitCode, stderr } = await runContainer(containerd, 'agent', '--detach', ...flags)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    await until(async () =>
      expect(await get(containerd.node, '/readyz')).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\n\r\nok\n$/s),
    )
  }
  const LOG = ['--log-uri', 'file:///run/agent.log']
  const log = () => containerd.node.read('/run/agent.log')

  it('stays, puts the plugin back when it is gone, and is ready while it answers there', async () => {
    await startAgent(...LOG)
    await isInstalled()
    expect(await capabilitiesOf('agent', 'CapBnd')).toBe(OF_THE_AGENT)

    const pod = await runPod('witness')
    // Whoever is root in a pod can do so.
    await containerd.node.inPod(pod.netns, ['ip', 'route', 'del', '198.51.100.0/24'])
    const look = ['tasks', 'exec', '--exec-id', 'look', 'agent', '/x-calico-route', 'verify', '--root', '/host']
    const { stdout } = await containerd.ctr(look, { reject: false })
    expect(stdout).toMatch(/ k8s-pod-network +eth0 +differs +.*198\.51\.100\.0\/24/)
    expect(await get(containerd.node, '/readyz')).toMatch(/^HTTP\/1\.1 200 OK/)
    expect(await get(containerd.node, '/metrics')).toContain('\nx_calico_route_plugin_in_place 1\n')

    // The container has no shell to try a gate with.
    for (const remove of [removeGate, removePlugin]) {
      await remove()
      await until(isInstalled)
    }
    const mend = ['tasks', 'exec', '--exec-id', 'mend', 'agent', '/x-calico-route', 'repair', '--root', '/host']
    expect(await containerd.ctr(mend, { reject: false })).toMatchObject({ exitCode: 0 })
    expect(await routes(pod, 'eth0')).toContain('198.51.100.0/24 via 169.254.1.1 proto 142')
    await end('agent')
  })

  it('listens by a process that has no capability, of a container that gives no new ones', async () => {
    await startAgent(...LOG)
    const status = await statusOf((await childrenOf('agent'))[0])
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\\t0{16}$`, 'm'))
    await end('agent')
  })

  it('has a change of the ConfigMap reach running pods in seconds, in both families', async () => {
    const { node } = containerd
    const sets = { underlay: '198.51.100.0/24\n2001:db8:51::/64\n' }
    await node.run(['rm', '-rf', CONFIG_MAP])
    const map = new ConfigMap(node.path(CONFIG_MAP), sets)
    await containerd.configure(
      conflist('k8s-pod-network', '1.0.0', nic.calico, xCalicoRoute({ routes: [{ set: 'underlay' }] }), tuning),
    )
    await startAgent(...LOG)
    expect(node.list('/var/lib/x-calico-route/sets')).toEqual(['underlay'])
    const pod = await runPod('living')
    expect(await reach(pod)).toEqual(REACH_SERVICE)

    map.write({ underlay: `${sets.underlay}203.0.113.0/24\n2001:db8:113::/64\n` })
    const started = performance.now()
    await until(async () => expect(await reach(pod)).toEqual(REACH_ALL))
    expect(performance.now() - started).toBeLessThan(30_000)
    expect(log()).toMatch(/"msg":"pod repaired".*"\+ 203\.0\.113\.0\/24 via 169\.254\.1\.1 dev eth0 proto 142/)
    await until(async () =>
      expect(await get(node, '/metrics')).toContain('x_calico_route_set_prefixes{set="underlay"} 4\n'),
    )

    map.write(sets)
    await until(async () => expect(await reach(pod)).toEqual(REACH_SERVICE))
    await end('agent')
    await containerd.configure(conflist('k8s-pod-network', '1.0.0', nic.calico, xCalicoRoute(), tuning))
  })

  it('stays also where nobody takes what it says', async () => {
    await startAgent('--null-io')
    await removeGate()
    await until(isInstalled)
    await removePlugin()
    await until(isInstalled)
    await end('agent')
  })

  it('uninstalls from a node as soon as no pod there and no configuration needs the plugin', async () => {
    expect((await runContainer(containerd, 'install', '--rm')).exitCode).toBe(0)
    await runPod('last')
    const { exitCode, stderr } = await runContainer(
      containerd,
      'uninstall',
      '--detach',
      '--log-uri',
      'file:///run/un.log',
    )
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    await until(async () =>
      expect(containerd.node.read('/run/un.log')).toMatch(/still in use: .*0\.conflist names it; .*eth0 of /),
    )
    expect(await capabilitiesOf('uninstall', 'CapBnd')).toBe(CAP_SYS_CHROOT)
    expect(await probe(containerd, 'uninstall')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('eth0 of '),
    })
    await isInstalled()

    await containerd.configure(conflist('k8s-pod-network', '1.0.0', nic.calico, tuning))
    expect(await probe(containerd, 'uninstall')).toMatchObject({
      exitCode: 2,
      stderr: expect.not.stringContaining('conflist'),
    })
    for (const id of await containerd.cri.sandboxes()) await containerd.cri.stopSandbox(id)
    await until(async () => expect(installed()).toEqual([]))
    expect(await probe(containerd, 'uninstall')).toMatchObject({ exitCode: 0, stderr: '' })
    await end('uninstall')
  })

  /** As kubelet ends it; the container must obey the signal. */
  const end = async (container: string) => {
    await containerd.ctr(['tasks', 'kill', '--signal', 'SIGTERM', container])
    await until(async () => {
      expect((await containerd.ctr(['tasks', 'list'])).stdout).toMatch(new RegExp(`^${container} .*STOPPED$`, 'm'))
    })
    await containerd.ctr(['containers', 'delete', container])
  }

  const pidOf = async (container: string) => {
    const { stdout } = await containerd.ctr(['tasks', 'list'])
    return new RegExp(`^${container} +(\\d+)`, 'm').exec(stdout)?.[1] ?? ''
  }
  const statusOf = async (pid = '') => (await containerd.node.run(['cat', `/proc/${pid}/status`])).stdout
  const childrenOf = async (container: string) => {
    const pid = await pidOf(container)
    const { stdout } = await containerd.node.run(['cat', `/proc/${pid}/task/${pid}/children`])
    return stdout.trim().split(' ')
  }
  const capabilitiesOf = async (container: string, set: string) =>
    new RegExp(`^${set}:\\t(\\w+)$`, 'm').exec(await statusOf(await pidOf(container)))?.[1]
})

/** @see capability.h of the kernel */
const mask = (...numbers: readonly number[]) =>
  numbers
    .reduce((bits, number) => bits | (1n << BigInt(number)), 0n)
    .toString(16)
    .padStart(16, '0')
const CAP_SYS_CHROOT = mask(18)
const OF_THE_AGENT = mask(6, 7, 12, 18, 21)

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
